// What the compile budget is held against: the standard library alone, templates and optimisation, of nearly the same cost as
// one layer. Its seconds say how fast this machine compiles now.
#include <algorithm>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  std::map<std::string, std::vector<int>> places;
  const std::regex word("([a-z]+)[0-9]*");
  for (int i = 1; i < argc; ++i) {
    std::smatch found;
    const std::string text = argv[i];
    if (std::regex_match(text, found, word)) places[found[1]].push_back(i);
  }
  for (auto& [name, where] : places) {
    std::sort(where.begin(), where.end(), std::greater<int>());
    std::cout << name << ' ' << where.size() << '\n';
  }
}
