#pragma once
// Commands that another program has, which stands beside this one.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <system_error>

namespace flamingo {

/// The folder of the program that runs; that of `argv0` where the system does not tell.
inline std::filesystem::path program_folder(const char* argv0) {
  std::error_code none;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", none);
  return (none ? std::filesystem::path(argv0) : self).parent_path();
}

/// Adds the command `name`, which becomes `program`, from the same folder, with the whole command line. Running it
/// throws std::system_error where the program is not there.
inline void add_elsewhere(CLI::App& app, const char* name, const char* what, const char* program,
                          char** argv) {
  CLI::App* command = app.add_subcommand(name, what);
  command->prefix_command();
  command->set_help_flag();  // the other program has it
  command->callback([program, argv] {
    const std::string path = (program_folder(argv[0]) / program).string();
    execv(path.c_str(), argv);
    throw std::system_error(errno, std::generic_category(),
                            path + ": expected beside this program");
  });
}

}  // namespace flamingo
