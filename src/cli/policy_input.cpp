// SPDX-License-Identifier: GPL-2.0
#include "cli/policy_input.hpp"

#include <filesystem>

#include "cli/command.hpp"

namespace egress::cli {
namespace {

bool separates(std::string_view line) { return line == "---" || line.starts_with("--- ") || line == "---\r"; }

bool has_content(std::string_view document) {
  for (std::size_t at = 0; at < document.size();) {
    const std::size_t end = std::min(document.find('\n', at), document.size());
    const std::string_view line = document.substr(at, end - at);
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first != std::string_view::npos && line[first] != '#' && line != "...") return true;
    at = end + 1;
  }
  return false;
}

ListReader reader_beside(const std::string& file) {
  const std::filesystem::path directory =
      file == "-" ? std::filesystem::path() : std::filesystem::path(file).parent_path();
  return [directory](const std::string& path) { return read_input((directory / path).string()); };
}

}  // namespace

std::string source_name(const std::string& file) { return file == "-" ? "<stdin>" : file; }

std::vector<std::string> split_documents(const std::string& text) {
  std::vector<std::string> documents;
  std::string current;
  std::size_t lines = 0;
  const auto close = [&documents, &current] {
    if (has_content(current)) documents.push_back(std::move(current));
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    ++lines;
    if (separates(line)) {
      close();
      current = std::string(lines - 1, '\n');
      current += line.size() > 4 ? "    " + std::string(line.substr(4)) + "\n" : "\n";
    } else {
      current += std::string(line) + "\n";
    }
    at = end + 1;
  }
  close();
  // Nothing at all: one empty document, so that the parser says what is missing.
  if (documents.empty()) documents.push_back(text);
  return documents;
}

Result<std::vector<Policy>> read_policies(const std::string& file) {
  const auto text = read_input(file);
  if (!text) return text.error();
  std::vector<Policy> policies;
  for (const std::string& document : split_documents(*text)) {
    auto policy = parse_policy(document, source_name(file), reader_beside(file));
    if (!policy) return policy.error();
    policies.push_back(*std::move(policy));
  }
  return policies;
}

}  // namespace egress::cli
