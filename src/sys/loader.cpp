// SPDX-License-Identifier: GPL-2.0
#include "sys/loader.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "egress/version.hpp"
#include "sys/bpf_map.hpp"
#include "sys/bpffs.hpp"
#include "sys/cgroup.hpp"
#include "sys/kernel_ids.hpp"
#include "sys/kernel_tables.hpp"
#include "sys/loader.hpp"
#include "sys/object.hpp"
#include "sys/pin_transaction.hpp"
#include "sys/privileges.hpp"
#include "sys/program.hpp"

namespace egress {
namespace {

constexpr std::uint32_t most_rules = 1u << 24;

Error refuse(std::string object, std::string cause, std::string remedy) {
  return Error{ErrorKind::Failed, "load", std::move(object), std::move(cause), std::move(remedy), 0};
}

Result<void> check_range(const char* what, const std::optional<std::uint32_t>& number) {
  if (!number || (*number != 0 && *number <= most_rules)) return {};
  return usage_error(what + (" " + std::to_string(*number)), "out of range", "1 to 16777216");
}

Result<void> check_settings(const Instance& instance, const LoadSettings& settings) {
  if (Result<void> good = check_range("max_rules", settings.max_rules); !good) return good;
  if (Result<void> good = check_range("max_map_rules", settings.max_map_rules); !good) return good;
  if (instance.pin_dir.size() >= sizeof(egress_meta::pin_dir)) return usage_error("pin directory", "path too long");
  return {};
}

template <std::size_t N>
void copy_text(char (&to)[N], std::string_view from) {
  from.copy(to, N - 1);
}

/// One load, from the locked directory to the last pin.
class Loading {
 public:
  Loading(const Instance& instance, const LoadSettings& settings, const CgroupTree& tree, const PinDirectory& directory)
      : instance_(instance),
        settings_(settings),
        room_{settings.max_rules.value_or(default_max_rules), settings.max_map_rules.value_or(default_max_map_rules)},
        tree_(tree),
        directory_(directory),
        pins_(directory) {}

  Result<Loaded> run() {
    if (Result<void> done = find_existing(); !done) return std::move(done).error();
    Result<Object> object = Object::load({root_id(), tree_.level(), room_, settings_.debug}, existing_);
    if (!object) return std::move(object).error();
    if (Result<void> done = prepare_maps(*object); !done) return std::move(done).error();
    if (Result<void> done = bind_maps(*object); !done) return std::move(done).error();
    for (const Hook& hook : hooks) {
      if (Result<void> done = place(*object, hook); !done) {
        Error error = std::move(done).error();
        if (error.object.empty()) error.object = hook.program;
        return error;
      }
    }
    start_sweep(*object);
    pins_.commit();
    return Loaded{has_links_, object->features()};
  }

 private:
  std::uint64_t root_id() const { return static_cast<std::uint64_t>(tree_.id()); }

  /// Maps and links of an earlier load: pinned, or (pins removed or mounted over) found by id.
  Result<void> find_existing() {
    Result<std::optional<FoundInstance>> found = find_instance(instance_);
    if (!found) return std::move(found).error();
    if (found->has_value() && is_alive(**found)) found_ = std::move(**found);
    has_links_ = std::ranges::any_of(hooks, [&](const Hook& hook) {
      return hook.kind == Hook::Kind::Cgroup && (directory_.contains(hook.pin) || (found_ && found_->attached(hook)));
    });
    collect_maps();
    if (!existing_.contains("meta")) return forget_unfinished();
    return check_existing();
  }

  /// False for what an unload leaves for a moment: detached links, and tracing links that the kernel has yet to
  /// free. Their maps must not come back.
  static bool is_alive(const FoundInstance& found) {
    return std::ranges::any_of(
        hooks, [&](const Hook& hook) { return hook.kind == Hook::Kind::Cgroup && found.attached(hook); });
  }

  void collect_maps() {
    const auto take = [&](std::string_view name) {
      const std::string key(name);
      if (Result<Fd> pin = directory_.open_pin(key)) {
        existing_.emplace(key, std::move(*pin));
      } else if (found_ && found_->maps.contains(key)) {
        existing_.emplace(key, std::move(found_->maps.at(key)));
      }
    };
    for (const MapLayout& layout : map_layouts()) take(layout.name);
    for (const std::string_view name : private_maps) take(name);
  }

  /// `meta` is pinned last: without it, a loader was killed before anything could be in force.
  Result<void> forget_unfinished() {
    if (has_links_) {
      return refuse(instance_.pin_dir, "its links are there, but not the map `meta`", "egress unload, then load again");
    }
    for (const auto& [name, fd] : existing_) {
      if (Result<void> done = directory_.unlink(name); !done) return done;
    }
    existing_.clear();
    return {};
  }

  Result<void> check_existing() {
    MapFds copies;
    for (const MapLayout& layout : map_layouts()) {
      const auto at = existing_.find(std::string(layout.name));
      if (at == existing_.end()) {
        return refuse("map '" + std::string(layout.name) + "'", "its pin is missing", "egress unload, then load again");
      }
      Result<Fd> copy = at->second.duplicate();
      if (!copy) return std::move(copy).error();
      copies.emplace(at->first, std::move(*copy));
    }
    Result<std::unique_ptr<KernelTables>> tables = KernelTables::adopt(std::move(copies), KernelTables::Access::Read);
    if (!tables) return std::move(tables).error();
    if (Result<void> good = check_root((*tables)->meta()); !good) return good;
    return take_room((*tables)->meta());
  }

  Result<void> check_root(const egress_meta& meta) const {
    if (meta.root_id == root_id()) return {};
    return refuse(instance_.pin_dir, "in use for the cgroup root " + std::string(meta.root_path),
                  "choose another pin directory, or egress unload first");
  }

  /// What is loaded keeps its sizes.
  Result<void> take_room(const egress_meta& meta) {
    Result<MapInfo> template_map = map_info(existing_.at("drop_configs").get());
    if (!template_map) return std::move(template_map).error();
    room_ = {meta.max_rules, template_map->max_entries};
    if (Result<void> same = check_room("rules", settings_.max_rules, room_.rules); !same) return same;
    return check_room("rules of other tools", settings_.max_map_rules, room_.map_rules);
  }

  Result<void> check_room(const char* what, const std::optional<std::uint32_t>& wanted, std::uint32_t is) const {
    if (wanted.value_or(is) == is) return {};
    return refuse(instance_.pin_dir,
                  "loaded for " + std::to_string(is) + " " + what + ", not " + std::to_string(*wanted),
                  "load without a number, or egress unload first (egress export saves the rules)");
  }

  /// First pins of the maps, `meta` last; pins that an earlier instance lost are made again.
  Result<void> prepare_maps(const Object& object) {
    if (existing_.empty()) {
      if (Result<void> done = initialise(object); !done) return done;
    }
    for (const std::string_view name : private_maps) {
      if (Result<void> done = pin_map(object, name); !done) return done;
    }
    for (const MapLayout& layout : map_layouts()) {
      if (layout.name == "meta") continue;
      if (Result<void> done = pin_map(object, layout.name); !done) return done;
    }
    return pin_map(object, "meta");
  }

  Result<void> pin_map(const Object& object, std::string_view name) {
    const int fd = object.map_fd(name);
    if (fd < 0 || directory_.contains(std::string(name))) return {};
    return pins_.pin(fd, std::string(name));
  }

  Result<void> initialise(const Object& object) const {
    egress_control control{};
    control.epoch = 1;
    control.next_id = 1;
    control.next_node = 2;
    control.trial_deadline = EGRESS_FOREVER;
    control.next_deadline = EGRESS_FOREVER;
    if (Result<void> done = write_control(object.map_fd("control"), control); !done) return done;
    if (Result<void> done = bind_root(object); !done) return done;
    Result<egress_meta> meta = make_meta();
    if (!meta) return std::move(meta).error();
    return write_meta_and_freeze(object.map_fd("meta"), *meta);
  }

  Result<void> bind_root(const Object& object) const {
    Result<Fd> copy = duplicate(object.map_fd("bindings"));
    if (!copy) return std::move(copy).error();
    auto bindings = HashMap<std::uint64_t, egress_binding>::adopt(std::move(*copy));
    if (!bindings) return std::move(bindings).error();
    egress_binding binding{};
    binding.node = EGRESS_NODE_ROOT;
    return bindings->put(root_id(), binding);
  }

  Result<egress_meta> make_meta() const {
    egress_meta meta{};
    meta.magic = EGRESS_MAGIC;
    meta.abi = EGRESS_ABI;
    meta.max_rules = room_.rules;
    meta.layout = layout_hash();
    meta.root_id = root_id();
    meta.root_level = tree_.level();
    const ssize_t got = ::getrandom(meta.instance, sizeof(meta.instance), 0);
    const int err = errno;
    if (got != static_cast<ssize_t>(sizeof(meta.instance))) return system_error("load", "random number", err);
    copy_text(meta.pin_dir, canonical_pin_dir(instance_.pin_dir));
    copy_text(meta.root_path, tree_.directory());
    copy_text(meta.version, version);
    return meta;
  }

  /// So that whoever finds a link by id finds the instance (`meta`) and its maps, without any pin. Kernels before
  /// 5.10 cannot (EINVAL); the instance is then found by its pins alone.
  static Result<void> bind_maps(const Object& object) {
    std::vector<int> maps;
    for (const MapLayout& layout : map_layouts()) maps.push_back(object.map_fd(layout.name));
    for (const std::string_view name : private_maps) maps.push_back(object.map_fd(name));
    for (const Hook& hook : hooks) {
      const int program = object.program_fd(hook.program);
      if (program < 0) continue;
      for (const int map : maps) {
        if (map < 0) continue;  // left out with the programs that use it
        if (Result<void> done = bind_map(program, map); !done && done.error().code != EINVAL) return done;
      }
    }
    return {};
  }

  Result<void> place(Object& object, const Hook& hook) {
    const int program = object.program_fd(hook.program);
    if (program < 0) return {};
    switch (hook.kind) {
      case Hook::Kind::Cgroup:
        return place_cgroup(program, hook);
      case Hook::Kind::Tracing:
        return place_tracing(object, program, hook);
      case Hook::Kind::OnCall:
        return pins_.replace(program, hook.pin);
    }
    return {};
  }

  /// The link of an earlier load, if it still holds its cgroup.
  std::optional<Link> existing_link(const Hook& hook) {
    Result<Fd> pin = directory_.open_pin(hook.pin);
    if (pin) {
      Link link(std::move(*pin));
      Result<LinkInfo> info = link.info();
      if (info && info->cgroup_id == root_id()) return link;
    }
    const FoundLink* found = found_ ? found_->attached(hook) : nullptr;
    Result<Link> link = found ? Link::open_id(found->info.id) : Error{};
    return link ? std::optional<Link>(std::move(*link)) : std::nullopt;
  }

  Result<void> place_cgroup(int program, const Hook& hook) {
    if (std::optional<Link> link = existing_link(hook)) {
      if (!directory_.contains(hook.pin)) {
        if (Result<void> done = pins_.pin(link->fd(), hook.pin); !done) return done;
      }
      return pins_.update(std::move(*link), program);
    }
    Result<Link> link = Link::attach_cgroup(program, tree_.fd(), hook.attach_type);
    if (!link) return std::move(link).error();
    return pins_.attach(std::move(*link), hook.pin);
  }

  /// The new program is attached before the old link goes: both bind the same names, twice does no harm.
  Result<void> place_tracing(Object& object, int program, const Hook& hook) {
    Result<Link> link = Link::attach_tracing(program);
    if (link) return pins_.attach(std::move(*link), hook.pin);
    const int code = link.error().code;
    const bool refused = code == EOPNOTSUPP || code == ENOENT || code == EINVAL;
    if (!refused && hook.group != HookGroup::Creation) return std::move(link).error();
    object.mark_missing(hook.group, link.error().cause);
    return {};
  }

  /// A sweep that cannot run changes no verdict: rules that are over stay until the next command.
  static void start_sweep(Object& object) {
    const int arm = object.program_fd("egress_arm");
    if (arm < 0) return;
    if (Result<void> done = run_program(arm); !done) object.mark_missing(HookGroup::Sweep, done.error().cause);
  }

  const Instance& instance_;
  const LoadSettings& settings_;
  Room room_;
  const CgroupTree& tree_;
  const PinDirectory& directory_;
  PinTransaction pins_;
  std::optional<FoundInstance> found_;
  MapFds existing_;
  bool has_links_ = false;
};

Result<Loaded> load_into(const Instance& instance, const LoadSettings& settings, const CgroupTree& tree,
                         const PinDirectory& directory) {
  Result<DirectoryLock> lock = DirectoryLock::acquire(directory);
  if (!lock) return std::move(lock).error();
  return Loading(instance, settings, tree, directory).run();
}

}  // namespace

Result<Loaded> load(const Instance& instance, const LoadSettings& settings) {
  if (Result<void> good = check_settings(instance, settings); !good) return std::move(good).error();
  if (Result<void> good = require_load_privileges(); !good) return std::move(good).error();
  if (Result<void> good = require_kernel_btf(); !good) return std::move(good).error();
  Result<CgroupTree> tree = CgroupTree::open(instance.cgroup_root);
  if (!tree) return std::move(tree).error().in("load");
  const bool made = !PinDirectory::open(instance.pin_dir).ok();
  Result<PinDirectory> directory = PinDirectory::open_or_create(instance.pin_dir);
  if (!directory) return std::move(directory).error().in("load");
  Result<Loaded> loaded = load_into(instance, settings, *tree, *directory);
  if (loaded) return loaded;
  if (made) (void)directory->remove();
  return std::move(loaded).error().in("load");
}

}  // namespace egress
