// SPDX-License-Identifier: GPL-2.0
#include "cli/options.hpp"

#include <gtest/gtest.h>

#include <set>

#include "cli/command.hpp"
#include "cli/completion.hpp"
#include "cli/policy_input.hpp"
#include "support/text.hpp"

namespace egress::cli {
namespace {

Options parsed(const std::vector<std::string>& arguments) {
  auto invocation = parse_arguments(arguments);
  EXPECT_TRUE(invocation) << invocation.error().message();
  return invocation ? invocation->options : Options{};
}

std::string error_of(const std::vector<std::string>& arguments) {
  const auto invocation = parse_arguments(arguments);
  if (invocation) return "no error";
  EXPECT_EQ(invocation.error().kind, ErrorKind::Usage);
  return invocation.error().message();
}

TEST(Arguments, GlobalOptionsMayStandBeforeAndBehindTheVerb) {
  const Options options = parsed({"--pin-dir", "/p", "-o", "json", "ls", "--strict", "--cgroup-root=/r"});
  EXPECT_EQ(options.pin_dir, "/p");
  EXPECT_EQ(options.output, "json");
  EXPECT_EQ(options.cgroup_root, "/r");
  EXPECT_TRUE(options.strict);
  EXPECT_FALSE(options.yes_really);
}

TEST(Arguments, AValueOfAGlobalOptionIsNoVerb) {
  const auto invocation = parse_arguments({"--pin-dir", "drop", "ls"});
  ASSERT_TRUE(invocation) << invocation.error().message();
  EXPECT_EQ(invocation->verb->name, "ls");
}

TEST(Arguments, WordsKeepTheirOrderAroundOptions) {
  const Options options = parsed({"drop", "cgroup", "/app", "--reason", "x y", "to", "any", "--replace", "for", "1h"});
  EXPECT_EQ(options.words, (std::vector<std::string>{"cgroup", "/app", "to", "any", "for", "1h"}));
  EXPECT_EQ(options.reason, "x y");
  EXPECT_TRUE(options.replace);
}

TEST(Arguments, WordsMayBeNamesOfVerbs) {
  const auto invocation = parse_arguments({"isolate", "cgroup", "drop", "allow", "any:53"});
  ASSERT_TRUE(invocation) << invocation.error().message();
  EXPECT_EQ(invocation->verb->name, "isolate");
  EXPECT_EQ(invocation->options.words, (std::vector<std::string>{"cgroup", "drop", "allow", "any:53"}));
}

TEST(Arguments, TheTemplatesFormIsOptions) {
  const Options options =
      parsed({"drop", "--cgroup-id", "12", "--dst-ip", "8.8.8.8", "--dst-port", "53", "--ttl", "3600"});
  EXPECT_EQ(options.cgroup_id, "12");
  EXPECT_EQ(options.dst_ip, "8.8.8.8");
  EXPECT_EQ(options.dst_port, "53");
  EXPECT_EQ(options.ttl, "3600");
}

TEST(Arguments, ADashIsAFile) { EXPECT_EQ(parsed({"apply", "-f", "-"}).file, "-"); }

TEST(Arguments, RepeatedOptionsOfRunDoNotSwallowWords) {
  const Options options =
      parsed({"run", "--drop", "1.2.3.4", "--drop", "any:25", "for", "1h", "--", "curl", "-f", "--", "x"});
  EXPECT_EQ(options.drop, (std::vector<std::string>{"1.2.3.4", "any:25"}));
  EXPECT_EQ(options.words, (std::vector<std::string>{"for", "1h"}));
  EXPECT_EQ(options.command, (std::vector<std::string>{"curl", "-f", "--", "x"}));
}

TEST(Arguments, NoVerbIsNoError) {
  const auto invocation = parse_arguments({"--version"});
  ASSERT_TRUE(invocation);
  EXPECT_EQ(invocation->verb, nullptr);
  EXPECT_TRUE(invocation->options.version);
}

TEST(Arguments, AMistypedVerbIsRecognised) {
  EXPECT_HAS(error_of({"dorp", "cgroup", "/a"}), "\"dorp\": no such verb (did you mean drop?");
}

TEST(Arguments, AVerbThatIsNothingLikeOneIsNotGuessed) {
  EXPECT_FALSE(test::has(error_of({"frobnicate"}), "did you mean"));
}

TEST(Arguments, AMistypedOptionIsRecognised) {
  EXPECT_HAS(error_of({"drop", "cgroup", "/a", "to", "any", "--resaon", "x"}),
             "--resaon: unknown option (did you mean --reason?");
  EXPECT_HAS(error_of({"--strcit", "ls"}), "did you mean --strict?");
}

TEST(Arguments, AnOptionOfAnotherVerbIsUnknown) {
  EXPECT_HAS(error_of({"ls", "--watch"}), "ls: --watch: unknown option");
}

TEST(Arguments, AnOptionNeedsItsValue) { EXPECT_HAS(error_of({"apply", "-f"}), "see egress apply --help"); }

TEST(Arguments, ASwitchTakesNoValue) {
  for (const char* argument : {"--watch=1", "--watch=0", "-w=1", "--strict=yes"}) {
    EXPECT_HAS(error_of({"stats", argument}), "takes no value");
  }
  EXPECT_TRUE(parsed({"stats", "--watch"}).watch);
  EXPECT_EQ(parsed({"ls", "--name=--watch=1"}).name, "--watch=1");
  EXPECT_EQ(parsed({"run", "--drop", "192.0.2.1", "--", "x", "--strict=1"}).command.back(), "--strict=1");
}

TEST(Arguments, AnOptionIsGivenOnce) { EXPECT_NE(error_of({"drop", "--ttl", "1", "--ttl", "2"}), "no error"); }

TEST(Arguments, FormatsAreTableAndJson) {
  EXPECT_HAS(error_of({"ls", "-o", "yaml"}), "--output yaml: no such format");
  EXPECT_EQ(parsed({"ls", "-o", "table"}).output, "table");
}

TEST(Nearest, FindsSwapsLossesAndAdditions) {
  const std::vector<std::string_view> words{"drop", "reject", "export"};
  EXPECT_EQ(nearest("dorp", words), "drop");
  EXPECT_EQ(nearest("rejct", words), "reject");
  EXPECT_EQ(nearest("exportt", words), "export");
  EXPECT_EQ(nearest("status", words), "");
  EXPECT_EQ(nearest("", words), "");
}

TEST(Verbs, AreThoseOfTheContract) {
  for (const char* name : {"drop",   "reject",  "audit",   "allow",  "isolate", "ls",         "show",   "rm",
                           "extend", "stats",   "explain", "status", "doctor",  "apply",      "check",  "diff",
                           "export", "confirm", "run",     "load",   "unload",  "completion", "version"}) {
    EXPECT_NE(find_verb(name), nullptr) << name;
  }
}

TEST(Verbs, HaveNoTwoOptionsOfOneName) {
  for (const Verb& verb : verbs()) {
    std::set<std::string_view> seen;
    const auto expect_new = [&](std::span<const OptionRow> rows) {
      for (const OptionRow& row : rows) {
        for (const std::string_view name : names_of(row))
          EXPECT_TRUE(seen.insert(name).second) << verb.name << " " << name;
      }
    };
    expect_new(global_options());
    expect_new(verb.options);
  }
}

TEST(Verbs, EveryOneCanBeAskedForHelp) {
  for (const Verb& verb : verbs()) {
    const auto invocation = parse_arguments({std::string(verb.name), "--help"});
    ASSERT_TRUE(invocation) << invocation.error().message();
    EXPECT_TRUE(invocation->options.help);
    EXPECT_NE(verb.run, nullptr) << verb.name;
  }
}

TEST(Help, NamesSynopsisOptionsAndExamples) {
  for (const Verb& verb : verbs()) {
    const std::string help = help_text(verb);
    EXPECT_HAS(help, "egress " + std::string(verb.name));
    EXPECT_HAS(help, "Examples:\n");
    for (const OptionRow& row : verb.options) EXPECT_HAS(help, row.help);
  }
}

TEST(Help, LinesFitATerminal) {
  for (const Verb& verb : verbs()) {
    std::string help = help_text(verb) + general_help();
    for (std::size_t at = 0; at < help.size();) {
      const std::size_t end = help.find('\n', at);
      EXPECT_LE(end - at, 120u) << help.substr(at, end - at);
      at = end + 1;
    }
  }
}

TEST(Help, OfTheCommandListsEveryVerb) {
  for (const Verb& verb : verbs()) EXPECT_HAS(general_help(), "  " + std::string(verb.name) + " ");
}

TEST(Completion, KnowsEveryVerbAndOption) {
  for (const std::string& script : {bash_completion(), zsh_completion()}) {
    for (const Verb& verb : verbs()) {
      EXPECT_HAS(script, "    " + std::string(verb.name) + ") ");
      for (const OptionRow& row : verb.options) EXPECT_HAS(script, names_of(row).back());
    }
  }
}

TEST(Completion, OfBashNeverExpandsNames) {
  // compgen -W expands $(…): only words of our own may go there.
  const std::string script = bash_completion();
  for (std::size_t at = script.find("compgen -W"); at != std::string::npos; at = script.find("compgen -W", at + 1)) {
    const std::string line = script.substr(at, script.find('\n', at) - at);
    EXPECT_TRUE(test::has(line, "$opts") || test::has(line, "\"$words\"")) << line;
  }
}

TEST(Completion, OfFishKnowsEveryVerbAndOption) {
  const std::string script = fish_completion();
  for (const Verb& verb : verbs()) {
    EXPECT_HAS(script, "-a " + std::string(verb.name));
    for (const OptionRow& row : verb.options) EXPECT_HAS(script, "-l " + std::string(names_of(row).back().substr(2)));
  }
}

TEST(Completion, OffersRuleIdsWhereTheyAreTaken) {
  EXPECT_TRUE(takes_rule_ids(find_verb("rm")->words));
  EXPECT_TRUE(takes_rule_ids(find_verb("extend")->words));
  EXPECT_FALSE(takes_rule_ids(find_verb("drop")->words));
}

TEST(SplitDocuments, OneDocumentStaysOne) {
  EXPECT_EQ(split_documents("policy: a\n"), std::vector<std::string>{"policy: a\n"});
  EXPECT_EQ(split_documents("---\npolicy: a\n").size(), 1u);
}

TEST(SplitDocuments, LaterDocumentsKeepTheirLineNumbers) {
  const auto documents = split_documents("policy: a\n---\npolicy: b\n");
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[1], "\n\npolicy: b\n");
}

TEST(SplitDocuments, AnEmptyFileIsOneEmptyDocument) { EXPECT_EQ(split_documents("").size(), 1u); }

}  // namespace
}  // namespace egress::cli
