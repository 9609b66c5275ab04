// SPDX-License-Identifier: GPL-2.0
#include "engine/names.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>

#include "engine/records.hpp"

namespace egress {

namespace {

egress_name_key name_key(std::uint32_t node, const std::string& name) {
  egress_name_key key{};
  key.node = node;
  std::memcpy(key.name, name.data(), std::min(name.size(), sizeof key.name - 1));
  return key;
}

std::uint64_t number_of(const std::string& name) {
  std::uint64_t number = 0;
  std::from_chars(name.data(), name.data() + name.size(), number);
  return number;
}

std::uint32_t kind_of(Subject::Kind kind) {
  switch (kind) {
    case Subject::Kind::Path:
      return EGRESS_ANCHOR_PATH;
    case Subject::Kind::Unit:
      return EGRESS_ANCHOR_UNIT;
    case Subject::Kind::Id:
      return EGRESS_ANCHOR_ID;
  }
  return EGRESS_ANCHOR_NONE;
}

bool same(const egress_binding& a, const egress_binding& b) { return std::memcmp(&a, &b, sizeof a) == 0; }
bool empty(const egress_binding& binding) { return same(binding, egress_binding{}); }

bool clear_if(std::uint32_t& word, const std::unordered_set<std::uint32_t>& of) {
  if (word == 0 || !of.contains(word)) return false;
  word = 0;
  return true;
}

}  // namespace

CgroupId id_of(const Subject& subject) { return CgroupId{number_of(subject.name)}; }

bool has_ended(Tables& tables, const World& world, CgroupId id) {
  if (world.path_of(id)) return false;
  const auto binding = tables.bindings().get(static_cast<std::uint64_t>(id));
  return binding.ok() && !*binding;
}

std::vector<std::string> components(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t at = 1; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::string parent_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

Result<std::optional<egress_name>> Names::walk(const std::string& path) const {
  egress_name at{EGRESS_NODE_ROOT, 0};
  for (const std::string& part : components(path)) {
    auto edge = tables_.names().get(name_key(at.node, part));
    if (!edge) return std::move(edge).error();
    if (!*edge) return std::optional<egress_name>();
    at = **edge;
  }
  return std::optional(at);
}

std::optional<std::uint32_t> Names::anchor_of_id(std::uint64_t id) const {
  const auto anchors = known_anchors(tables_);
  for (std::uint32_t i = 1; i < anchors.size(); ++i) {
    if (anchors[i].kind == EGRESS_ANCHOR_ID && anchors[i].cgroup_id == id) return i;
  }
  return std::nullopt;
}

Result<std::optional<std::uint32_t>> Names::find(Subject::Kind kind, const std::string& name) const {
  using Found = std::optional<std::uint32_t>;
  if (kind == Subject::Kind::Id) return Found(anchor_of_id(number_of(name)));
  if (kind == Subject::Kind::Path && name == "/") {
    auto binding = tables_.bindings().get(static_cast<std::uint64_t>(world_.root()));
    if (!binding) return std::move(binding).error();
    return *binding && (*binding)->path_anchor != 0 ? Found((*binding)->path_anchor) : Found();
  }
  auto edge = kind == Subject::Kind::Path ? walk(name) : tables_.names().get(name_key(EGRESS_NODE_ANYWHERE, name));
  if (!edge) return std::move(edge).error();
  return *edge && (*edge)->anchor != 0 ? Found((*edge)->anchor) : Found();
}

Result<std::uint32_t> Names::make_anchor(const Subject& subject) {
  const auto anchors = tables_.anchors();
  while (search_from_ < anchors.size() && anchors[search_from_].kind != EGRESS_ANCHOR_NONE) ++search_from_;
  if (search_from_ >= anchors.size()) {
    return Error{ErrorKind::Failed,
                 "",
                 format(subject),
                 "no room for more subjects",
                 "unload, then load with a larger size, which helps up to 65536: egress load --max-rules N",
                 0};
  }
  const std::uint32_t index = search_from_;
  know_subject(tables_, index);
  egress_anchor& anchor = anchors[index];
  tables_.store(anchor.first_set, 0u);
  const std::uint64_t id = subject.kind == Subject::Kind::Id ? number_of(subject.name) : 0;
  tables_.store(anchor.cgroup_id, id);
  tables_.store(anchor.kind, kind_of(subject.kind));
  egress_anchor_name name{};
  std::memcpy(name.name, subject.name.data(), std::min(subject.name.size(), sizeof name.name - 1));
  if (auto done = tables_.anchor_names().put(index, name); !done) return std::move(done).error();
  return index;
}

Result<void> Names::enter_path(const std::string& path, std::uint32_t anchor) {
  const std::vector<std::string> parts = components(path);
  std::uint32_t node = EGRESS_NODE_ROOT;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    const egress_name_key key = name_key(node, parts[i]);
    auto edge = tables_.names().get(key);
    if (!edge) return std::move(edge).error();
    egress_name to = edge->value_or(egress_name{0, 0});
    if (!*edge) {
      to.node = std::max(tables_.control().next_node, EGRESS_NODE_ROOT + 1u);
      tables_.store(tables_.control().next_node, to.node + 1);
    }
    if (last) to.anchor = anchor;
    if (!*edge || last) {
      if (auto done = tables_.names().put(key, to); !done) return done;
    }
    node = to.node;
  }
  return {};
}

Result<void> Names::ensure(std::span<const Subject> subjects) {
  std::vector<Subject> made;
  for (const Subject& subject : subjects) {
    auto found = find(subject.kind, subject.name);
    if (!found) return std::move(found).error();
    if (*found) continue;
    auto anchor = make_anchor(subject);
    if (!anchor) return std::move(anchor).error();
    Result<void> entered;
    if (subject.kind == Subject::Kind::Path && subject.name == "/") {
      // No edge leads to the root: its binding is the only place that knows the anchor.
      auto binding = tables_.bindings().get(static_cast<std::uint64_t>(world_.root()));
      if (!binding) return std::move(binding).error();
      egress_binding root = binding->value_or(egress_binding{});
      root.node = EGRESS_NODE_ROOT;
      root.path_anchor = *anchor;
      entered = tables_.bindings().put(static_cast<std::uint64_t>(world_.root()), root);
    } else if (subject.kind == Subject::Kind::Path) {
      entered = enter_path(subject.name, *anchor);
    } else if (subject.kind == Subject::Kind::Unit) {
      entered = tables_.names().put(name_key(EGRESS_NODE_ANYWHERE, subject.name), egress_name{0, *anchor});
    }
    if (!entered) return entered;
    made.push_back(subject);
  }
  if (auto done = bind_paths(made); !done) return done;
  if (auto done = bind_units(made); !done) return done;
  return bind_ids(made);
}

/// Level by level: a child that is made while its parent is being bound is seen by the program only once the
/// parent's binding stands, so children are looked for after that, and after every mkdir that came before.
Result<void> Names::bind_paths(std::span<const Subject> subjects) {
  std::set<std::string> level;
  std::set<std::string> wanted;
  for (const Subject& subject : subjects) {
    if (subject.kind != Subject::Kind::Path) continue;
    for (std::string path = subject.name; path != "/"; path = parent_path(path)) wanted.insert(path);
    level = {"/"};
  }
  while (!level.empty()) {
    if (auto done = world_.wait_for_mkdir(); !done) return done;
    std::set<std::string> bound;
    for (const std::string& path : level) {
      const auto id = world_.cgroup_at(path);
      if (!id) continue;
      if (auto done = bind(*id, path); !done) return done;
      bound.insert(path);
    }
    level.clear();
    for (const std::string& path : wanted) {
      if (bound.contains(parent_path(path))) level.insert(path);
    }
  }
  return {};
}

Result<void> Names::bind_units(std::span<const Subject> subjects) {
  const auto is_unit = [](const Subject& subject) { return subject.kind == Subject::Kind::Unit; };
  if (std::none_of(subjects.begin(), subjects.end(), is_unit)) return {};
  if (auto done = world_.wait_for_mkdir(); !done) return done;
  for (const Subject& subject : subjects) {
    if (!is_unit(subject)) continue;
    for (const CgroupId id : world_.cgroups_named(subject.name)) {
      const auto path = world_.path_of(id);
      if (!path) continue;
      if (auto done = bind(id, *path); !done) return done;
    }
  }
  return {};
}

Result<void> Names::bind_ids(std::span<const Subject> subjects) {
  for (const Subject& subject : subjects) {
    if (subject.kind != Subject::Kind::Id) continue;
    const CgroupId id = id_of(subject);
    const auto path = world_.path_of(id);
    if (!path) continue;
    if (auto done = bind(id, *path); !done) return done;
  }
  return {};
}

Result<egress_binding> Names::binding_of(CgroupId id, const std::string& path) const {
  egress_binding binding{};
  auto place = walk(path);
  if (!place) return std::move(place).error();
  if (*place) {
    binding.node = (*place)->node;
    binding.path_anchor = (*place)->anchor;
  }
  if (path == "/") {
    auto anchor = find(Subject::Kind::Path, path);
    if (!anchor) return std::move(anchor).error();
    binding.path_anchor = anchor->value_or(0);
  } else {
    auto anchor = find(Subject::Kind::Unit, components(path).back());
    if (!anchor) return std::move(anchor).error();
    binding.unit_anchor = anchor->value_or(0);
  }
  binding.id_anchor = anchor_of_id(static_cast<std::uint64_t>(id)).value_or(0);
  return binding;
}

Result<void> Names::bind(CgroupId id, const std::string& path) {
  const auto key = static_cast<std::uint64_t>(id);
  auto wanted = binding_of(id, path);
  if (!wanted) return std::move(wanted).error();
  auto present = tables_.bindings().get(key);
  if (!present) return std::move(present).error();
  if (*present ? same(**present, *wanted) : empty(*wanted)) return {};
  return tables_.bindings().put(key, *wanted);
}

Result<std::optional<Subject>> Names::subject_of(std::uint32_t anchor) const {
  using Found = std::optional<Subject>;
  const auto anchors = tables_.anchors();
  if (anchor == 0 || anchor >= anchors.size()) return Found();
  const std::uint32_t kind = load(anchors[anchor].kind);
  if (kind == EGRESS_ANCHOR_ID) {
    const std::uint64_t id = anchors[anchor].cgroup_id;
    return Found(Subject{Subject::Kind::Id, std::to_string(id), Subject::Scope::Subtree});
  }
  if (kind != EGRESS_ANCHOR_PATH && kind != EGRESS_ANCHOR_UNIT) return Found();
  auto name = tables_.anchor_names().get(anchor);
  if (!name) return std::move(name).error();
  if (!*name) return Found();
  const auto& text = (*name)->name;
  return Found(Subject{kind == EGRESS_ANCHOR_PATH ? Subject::Kind::Path : Subject::Kind::Unit,
                       std::string(text, strnlen(text, sizeof text)), Subject::Scope::Subtree});
}

Result<bool> Names::prune(Prune how) {
  std::unordered_set<std::uint32_t> idle;
  const auto anchors = known_anchors(tables_);
  for (std::uint32_t i = 1; i < anchors.size(); ++i) {
    if (anchors[i].kind != EGRESS_ANCHOR_NONE && anchors[i].first_set == 0) idle.insert(i);
  }
  if (idle.empty() && how == Prune::Anchors) return false;
  if (auto done = prune_names(idle); !done) return std::move(done).error();
  // A mkdir that read the names before may still be writing its binding.
  if (auto done = world_.wait_for_mkdir(); !done) return std::move(done).error();
  if (auto done = prune_bindings(idle); !done) return std::move(done).error();
  world_.wait_for_readers();
  for (const std::uint32_t anchor : idle) {
    if (auto done = tables_.anchor_names().erase(anchor); !done) return std::move(done).error();
    tables_.store(anchors[anchor].kind, std::uint32_t{EGRESS_ANCHOR_NONE});
  }
  search_from_ = 1;
  return true;
}

/// Edges are taken away from the leaves on: an edge goes when neither an anchor nor another edge needs it.
Result<void> Names::prune_names(const std::unordered_set<std::uint32_t>& idle) {
  auto edges = tables_.names().entries();
  if (!edges) return std::move(edges).error();
  const auto anchors = tables_.anchors();
  std::map<std::uint32_t, std::size_t> children;
  std::map<std::uint32_t, std::size_t> edge_to;
  for (std::size_t i = 0; i < edges->size(); ++i) {
    ++children[(*edges)[i].first.node];
    if ((*edges)[i].second.node != 0) edge_to[(*edges)[i].second.node] = i;
  }
  const auto is_live = [&](const egress_name& to) {
    return to.anchor != 0 && to.anchor < anchors.size() && !idle.contains(to.anchor) &&
           anchors[to.anchor].kind != EGRESS_ANCHOR_NONE;
  };
  for (std::size_t i = 0; i < edges->size(); ++i) {
    auto [key, to] = (*edges)[i];
    if (to.anchor == 0 || is_live(to)) continue;
    (*edges)[i].second.anchor = 0;
    if (to.node == 0 || children[to.node] == 0) continue;
    if (auto done = tables_.names().put(key, egress_name{to.node, 0}); !done) return done;
  }
  std::vector<bool> gone(edges->size(), false);
  for (std::size_t i = 0; i < edges->size(); ++i) {
    for (std::size_t at = i; !gone[at];) {
      const auto& [key, to] = (*edges)[at];
      if (to.anchor != 0 || (to.node != 0 && children[to.node] != 0)) break;
      if (auto done = tables_.names().erase(key); !done) return done;
      gone[at] = true;
      if (key.node == EGRESS_NODE_ANYWHERE || --children[key.node] != 0) break;
      const auto up = edge_to.find(key.node);
      if (up == edge_to.end()) break;
      at = up->second;
    }
  }
  return {};
}

Result<void> Names::prune_bindings(const std::unordered_set<std::uint32_t>& idle) {
  auto edges = tables_.names().entries();
  if (!edges) return std::move(edges).error();
  std::unordered_set<std::uint32_t> nodes{EGRESS_NODE_ROOT};
  for (const auto& [key, to] : *edges) nodes.insert(to.node);
  auto entries = tables_.bindings().entries();
  if (!entries) return std::move(entries).error();
  std::unordered_set<std::uint32_t> unused = idle;
  const auto anchors = known_anchors(tables_);
  for (std::uint32_t i = 1; i < anchors.size(); ++i) {
    if (anchors[i].kind == EGRESS_ANCHOR_NONE) unused.insert(i);
  }
  for (auto& [id, binding] : *entries) {
    bool changed = clear_if(binding.path_anchor, unused);
    changed |= clear_if(binding.unit_anchor, unused);
    changed |= clear_if(binding.id_anchor, unused);
    if (binding.node != 0 && !nodes.contains(binding.node)) {
      binding.node = 0;
      changed = true;
    }
    if (!changed) continue;
    const bool is_empty = empty(binding);
    if (auto done = is_empty ? tables_.bindings().erase(id) : tables_.bindings().put(id, binding); !done) return done;
  }
  return {};
}

}  // namespace egress
