#include "plume/train/progress.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>

#include "plume/train/interrupt.hpp"
#include "plume/train/log.hpp"
#include "tests/support/folder.hpp"

using namespace plume;
using namespace plume::train;

namespace {

TEST_CASE("progress: numbers and times as people read them") {
  CHECK(fixed(3.14159, 3) == "3.142");
  CHECK(fixed(-0.0004, 3) == "0.000");
  CHECK(fixed(-0.5, 1) == "-0.5");
  CHECK(fixed(0.049, 2) == "0.05");
  CHECK(fixed(1234.5678, 0) == "1235");
  CHECK(fixed(std::nan(""), 2) == "nan");
  CHECK(duration(0) == "0 s");
  CHECK(duration(59.6) == "1 min 0 s");
  CHECK(duration(3725) == "1 h 2 min");
  CHECK(duration(90000) == "1 d 1 h");
  CHECK(duration(std::nan("")) == "?");
}

TEST_CASE("progress: one line on a terminal, lines elsewhere; the last step is always told") {
  const Progress::Step first{.step = 1, .steps = 9, .pairs = 2, .tokens = 10, .seconds = 0.5};
  const Progress::Step middle{.step = 2, .steps = 9, .pairs = 2, .tokens = 10, .seconds = 0.5};
  const Progress::Step last{.step = 9, .steps = 9, .pairs = 2, .tokens = 10, .seconds = 0.5};
  std::ostringstream plain, terminal;
  {
    Progress a(plain, false, 1000), b(terminal, true);
    for (const Progress::Step& step : {first, middle, last}) {
      a.show(step);
      b.show(step);
    }
    b.say("said");
  }
  CHECK(plain.str() ==
        "step 1/9  pairs 2.000  20 tokens/s  0.0 images/s  data 0%  4 s left\n"
        "step 9/9  pairs 2.000  20 tokens/s  0.0 images/s  data 0%  0 s left\n");
  CHECK(terminal.str().starts_with("\rstep 1/9 "));
  CHECK(terminal.str().ends_with("0 s left\x1b[K\nsaid\n"));
}

TEST_CASE("interrupt: a signal asks, and is heard again by nobody afterwards") {
  struct sigaction before {
  }, after{};
  sigaction(SIGTERM, nullptr, &before);
  {
    const Interrupt interrupt;
    CHECK_FALSE(Interrupt::asked());
    CHECK_THROWS_AS(Interrupt(), ValueError);
    std::raise(SIGTERM);
    CHECK(Interrupt::asked());
  }
  sigaction(SIGTERM, nullptr, &after);
  CHECK((before.sa_handler == after.sa_handler));
  const Interrupt another;
  CHECK_FALSE(Interrupt::asked());
}

TEST_CASE("interrupt: the second signal ends the program at once") {
  const pid_t child = fork();
  if (child == 0) {
    const Interrupt interrupt;
    std::raise(SIGINT);
    std::raise(SIGTERM);
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGTERM);
}

TEST_CASE("log: lines are there at once, and are cut back to a step") {
  const test::Folder folder;
  const std::string path = folder.file("log.jsonl");
  cut_log(path, 3);
  CHECK(!std::filesystem::exists(path));
  Log log(path);
  for (int step = 0; step < 6; ++step) {
    log.write({{"event", "step"}, {"step", step}, {"loss", std::nan("")}});
    CHECK(io::read_json_lines(path).size() == static_cast<std::size_t>(step + 1));
  }
  log.sync();
  CHECK(io::read_json_lines(path).back().at("loss").is_null());
  std::ofstream(path, std::ios::app) << "{\"event\": \"st";  // killed here
  cut_log(path, 9);
  CHECK(io::read_json_lines(path).size() == 6);
  cut_log(path, 3);
  CHECK(io::read_json_lines(path).back().at("step") == 3);
  log.write({{"event", "resume"}, {"step", 3}});
  CHECK(io::read_json_lines(path).size() == 5);
  log.write({{"event", "end"}, {"step", 3}});  // killed after it, before the weights were exported
  cut_log(path, 3);
  CHECK(io::read_json_lines(path).back().at("event") == "resume");
  cut_log(path, -1);
  CHECK(std::filesystem::file_size(path) == 0);
  CHECK_THROWS_AS(Log(folder.file("none/log.jsonl")), std::system_error);
}

}  // namespace
