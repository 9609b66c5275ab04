// SPDX-License-Identifier: GPL-2.0
#include "core/yaml_tree.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <sstream>
#include <utility>

namespace egress {
namespace {

Position position_of(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {static_cast<std::size_t>(mark.line) + 1, static_cast<std::size_t>(mark.column) + 1};
}

/// Builds the tree from the parser's events. Not from YAML::Node: that resolves aliases and keeps the last of
/// duplicate keys out of sight. yaml-cpp itself stops at a nesting of 500 levels, within any stack.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& source, Problems& problems) : source_(source), problems_(problems) {}

  [[nodiscard]] bool refused() const { return refused_; }
  [[nodiscard]] std::optional<YamlNode> take() && { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ == 2) refuse(mark, "second document", "a policy file holds one");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (admit(mark, "?", anchor))
      attach({.kind = YamlNode::Kind::Null, .at = position_of(mark), .text = {}, .items = {}});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse(mark, "alias", "not allowed here"); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (admit(mark, tag, anchor))
      attach({.kind = YamlNode::Kind::Scalar, .at = position_of(mark), .text = value, .items = {}});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::Sequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::Map, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  /// Nothing is kept after the first refusal: the tree will not be used.
  void refuse(const YAML::Mark& mark, const char* what, const char* why) {
    if (!refused_) problems_.add(source_, position_of(mark), usage_error(what, why));
    refused_ = true;
  }

  bool admit(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) refuse(mark, "anchor", "not allowed here");
    if (!tag.empty() && tag != "?" && tag != "!") refuse(mark, "tag", "not allowed here");  // "!" is a quoted scalar
    if (++nodes_ > most_yaml_nodes) refuse(mark, "file", "too many values");
    return !refused_;
  }

  void open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (open_.size() >= deepest_yaml) refuse(mark, "file", "nested too deeply");
    if (admit(mark, tag, anchor)) open_.push_back({.kind = kind, .at = position_of(mark), .text = {}, .items = {}});
  }

  void close() {
    if (refused_) return;
    YamlNode node = std::move(open_.back());
    open_.pop_back();
    attach(std::move(node));
  }

  void attach(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
    } else {
      open_.back().items.push_back(std::move(node));
    }
  }

  const std::string& source_;
  Problems& problems_;
  std::vector<YamlNode> open_;
  std::optional<YamlNode> root_;
  std::size_t nodes_ = 0;
  int documents_ = 0;
  bool refused_ = false;
};

bool is_forbidden(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7F;
}

/// YAML forbids these. yaml-cpp takes byte 4 for the end of the file and would read half a policy; zero bytes and
/// the byte order marks of UTF-16 would make it read another text than everybody else sees.
bool has_control_characters(std::string_view text, const std::string& source, Problems& problems) {
  if (text.starts_with('\xFE') || text.starts_with('\xFF')) {
    problems.add(source, {}, usage_error("file", "not UTF-8"));
    return true;
  }
  Position at;
  for (const char c : text) {
    if (is_forbidden(c)) {
      problems.add(source, at, usage_error("file", "control character", "write it as \"\\xNN\" in double quotes"));
      return true;
    }
    at = c == '\n' ? Position{at.line + 1, 1} : Position{at.line, at.column + 1};
  }
  return false;
}

/// False if the text is not YAML. yaml-cpp throws; nothing of it leaves this function.
bool run_parser(std::string_view text, const std::string& source, TreeBuilder& builder, Problems& problems) {
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    // A stray ',' behind the document makes yaml-cpp 0.7 find empty documents for ever: stop at the second.
    while (!builder.refused() && parser.HandleNextDocument(builder)) {
    }
    return true;
  } catch (const YAML::Exception& exception) {
    problems.add(source, position_of(exception.mark), usage_error({}, exception.msg));
  } catch (const std::exception& exception) {
    problems.add(source, {}, usage_error("file", exception.what()));
  }
  return false;
}

}  // namespace

std::optional<YamlNode> read_yaml(std::string_view text, const std::string& source, Problems& problems) {
  if (text.size() > longest_yaml) {
    problems.add(source, {}, usage_error("file", "larger than 64 MiB", "put long lists into files named by `lists`"));
    return std::nullopt;
  }
  if (has_control_characters(text, source, problems)) return std::nullopt;
  TreeBuilder builder(source, problems);
  if (!run_parser(text, source, builder, problems) || builder.refused()) return std::nullopt;
  std::optional<YamlNode> root = std::move(builder).take();
  if (!root) problems.add(source, {}, usage_error("file", "empty"));
  return root;
}

}  // namespace egress
