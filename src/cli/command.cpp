// SPDX-License-Identifier: GPL-2.0
#include "cli/command.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "cli/table.hpp"
#include "core/escape.hpp"

namespace egress::cli {
namespace {

std::string from_environment(const char* name, std::string otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? std::move(otherwise) : std::string(value);
}

Instance instance_of(const Options& options) {
  Instance instance;
  instance.pin_dir = options.pin_dir ? *options.pin_dir : from_environment("EGRESS_PIN_DIR", instance.pin_dir);
  instance.cgroup_root = options.cgroup_root ? *options.cgroup_root : from_environment("EGRESS_CGROUP_ROOT", {});
  return instance;
}

int fail(Error error) {
  if (error.kind == ErrorKind::NotPermitted && error.remedy.empty() && geteuid() != 0) error.remedy = "run it as root";
  std::fprintf(stderr, "egress: %s\n", error.message().c_str());
  return static_cast<int>(error.kind);
}

/// Output that could not be written (a full disk) is a failure, however well the rest went.
int finish(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  const int err = errno;
  return fail(system_error("write", "standard output", err));
}

int run_without_verb(const Options& options) {
  if (options.version) {
    std::fputs(version_text().c_str(), stdout);
    return exit_done;
  }
  std::fputs(general_help().c_str(), options.help ? stdout : stderr);
  return options.help ? exit_done : static_cast<int>(ErrorKind::Usage);
}

int run_verb(const Verb& verb, Options options) {
  if (options.help || options.version) {
    std::fputs(options.help ? help_text(verb).c_str() : version_text().c_str(), stdout);
    return exit_done;
  }
  Context context(verb, std::move(options));
  auto status = verb.run(context);
  return status ? *status : fail(std::move(status).error().in(std::string(verb.name)));
}

}  // namespace

Context::Context(const Verb& verb, Options options)
    : verb_(verb), options_(std::move(options)), instance_(instance_of(options_)) {}

bool Context::colour() const { return colour_wanted(); }

void Context::print(std::string_view data) const { std::fwrite(data.data(), 1, data.size(), stdout); }

void Context::print_json(const Json& data) const { print(dump(data) + "\n"); }

void Context::note(std::string_view text) const { std::fprintf(stderr, "egress: %s\n", escape(text).c_str()); }

Result<Filter> Context::open_or_load() const {
  auto filter = Filter::open(instance_);
  if (!filter && filter.error().kind != ErrorKind::NotFound) return filter;
  const auto settings = filter ? filter->unattached() : LoadSettings{};
  return settings ? Filter::load(instance_, *settings) : std::move(filter);
}

Result<Subject> Context::resolve(const Filter& filter, const SubjectWords& words) const {
  switch (words.kind) {
    case SubjectWords::Kind::Cgroup:
      return filter.subject_of_path(words.value, words.scope);
    case SubjectWords::Kind::Unit:
      return Subject{Subject::Kind::Unit, words.value, words.scope};
    case SubjectWords::Kind::Pid:
      return filter.subject_of_pid(static_cast<int>(parse_number(words.value, 0, 0x7FFFFFFF).value_or(0)), words.scope);
    case SubjectWords::Kind::Id:
      break;
  }
  // As the library writes it: no leading zeros.
  return Subject{Subject::Kind::Id, fmt::format("{}", parse_number(words.value, 0, UINT64_MAX).value_or(0)),
                 words.scope};
}

Result<void> Context::no_words() const {
  if (options_.words.empty()) return {};
  return usage_error(fmt::format("word 1 \"{}\"", options_.words.front()), "expected nothing here",
                     fmt::format("see egress {} --help", verb_.name))
      .in(std::string(verb_.name));
}

int run_command(const std::vector<std::string>& arguments) {
  auto invocation = parse_arguments(arguments);
  if (!invocation) return fail(invocation.error());
  if (invocation->verb == nullptr) return finish(run_without_verb(invocation->options));
  return finish(run_verb(*invocation->verb, std::move(invocation->options)));
}

}  // namespace egress::cli
