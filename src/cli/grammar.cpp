// SPDX-License-Identifier: GPL-2.0
#include "cli/grammar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "cli/sentence_parts.hpp"
#include "core/destination_list.hpp"

namespace egress::cli {
namespace {

/// --dst-ip and --dst-port; a port of 0 is every port and every protocol, as in the template.
Result<std::optional<Destination>> destination_of_options(std::string_view verb, const Options& options) {
  const std::string operation(verb);
  if (!options.dst_ip) {
    if (options.dst_port)
      return usage_error("--dst-port", "needs --dst-ip", "--dst-ip 8.8.8.8 --dst-port 53").in(operation);
    return std::optional<Destination>{};
  }
  auto address = parse_address(*options.dst_ip);
  if (!address) return std::move(address).error().in(operation);
  Destination destination;
  destination.prefix = Prefix{*address, static_cast<std::uint8_t>(address->bits())};
  if (!options.dst_port) return std::optional{destination};
  const auto port = parse_number(*options.dst_port, 0, 65535);
  if (!port)
    return usage_error(fmt::format("--dst-port {}", *options.dst_port), "not a port", "0 to 65535").in(operation);
  if (*port != 0) destination.ports = PortRange{static_cast<std::uint16_t>(*port), static_cast<std::uint16_t>(*port)};
  return std::optional{destination};
}

bool ends_destinations(std::string_view word) {
  return word == "for" || word == "until" || word == "forever" || word == "only";
}

/// Appends the destinations of the words up to the tail; commas and blanks both part them.
Result<void> read_destinations(WordReader& words, std::vector<Destination>& destinations) {
  constexpr std::string_view expected = "a destination: ADDR[/LEN][:PORT[-PORT]][/PROTO] or any";
  if (words.done() || ends_destinations(words.peek())) return words.missing(expected);
  while (!words.done() && !ends_destinations(words.peek())) {
    const std::string word = *words.take(expected);
    const auto read = parse_destinations(word);
    if (!read) {
      // Behind a first destination the word may as well be a mistyped "for".
      if (!destinations.empty() && words.looks_like(word, {"for", "until", "forever", "only"})) {
        words.back();
        return words.unexpected("another destination, \"for\", \"until\", \"forever\" or \"only\"",
                                {"for", "until", "forever", "only"});
      }
      return words.explain(read.error(), word);
    }
    std::ranges::copy(*read, std::back_inserter(destinations));
  }
  return {};
}

/// `keyword DEST…`, --dst-ip or --file. With `required` one of them must be there.
Result<std::vector<Destination>> read_targets(std::string_view verb, const Options& options, WordReader& words,
                                              std::string_view keyword, bool required) {
  std::vector<Destination> destinations;
  const auto given = destination_of_options(verb, options);
  if (!given) return given.error();
  if (*given) destinations.push_back(**given);
  if (words.peek() == keyword && !words.done()) {
    words.skip();
    const bool in_file = options.file && (words.done() || ends_destinations(words.peek()));
    if (auto read = in_file ? Result<void>() : read_destinations(words, destinations); !read) return read.error();
  } else if (destinations.empty() && required && !options.file) {
    if (words.done()) return words.missing(fmt::format("\"{} DEST\"", keyword));
    return words.unexpected(fmt::format("\"{}\"", keyword), {keyword});
  } else if (!words.done() && !ends_destinations(words.peek())) {
    return words.unexpected(fmt::format("\"{}\", \"for\", \"until\", \"forever\" or \"only\"", keyword),
                            {keyword, "for", "until", "forever", "only"});
  }
  if (auto unique = refuse_duplicates(verb, destinations); !unique) return unique.error();
  return destinations;
}

Result<RuleSentence> read_sentence(std::string_view verb, const Options& options, WallTime now, WordReader words,
                                   std::string_view keyword) {
  auto subject = option_or_words_subject(verb, options, words);
  if (!subject) return subject.error();
  auto destinations = read_targets(verb, options, words, keyword, keyword == "to");
  if (!destinations) return destinations.error();
  const auto tail = read_tail(words, now);
  if (!tail) return tail.error();
  const auto lifetime = choose_lifetime(verb, options, *tail, default_lifetime);
  if (!lifetime) return lifetime.error();
  if (tail->only) subject->scope = Subject::Scope::Only;
  return RuleSentence{*subject, *std::move(destinations), *lifetime};
}

}  // namespace

Result<void> refuse_duplicates(std::string_view verb, const std::vector<Destination>& destinations) {
  const auto twice = find_twice(destinations);
  if (!twice) return {};
  return usage_error(format(destinations[twice->second]), "given twice", "each destination once").in(std::string(verb));
}

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t least, std::uint64_t most) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < least || number > most) return std::nullopt;
  return number;
}

Result<RuleId> parse_rule_id(std::string_view text) {
  const auto number = parse_number(text, 1, std::numeric_limits<std::uint32_t>::max());
  if (!number)
    return usage_error(fmt::format("\"{}\"", text), "not a rule id", "a number from 1 on, as egress ls shows it");
  return RuleId{static_cast<std::uint32_t>(*number)};
}

Result<std::vector<Destination>> parse_destinations(std::string_view text) {
  std::vector<Destination> destinations;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t comma = rest.find(',');
    const auto destination = parse_destination(rest.substr(0, comma));
    if (!destination) return destination.error();
    destinations.push_back(*destination);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  }
  if (destinations.empty()) return usage_error("destination", "empty", "8.8.8.8:53/udp");
  return destinations;
}

Result<RuleSentence> parse_rule_sentence(std::string_view verb, const Options& options, WallTime now) {
  WordReader words(std::string(verb), options.words,
                   fmt::format("egress {} cgroup /app to 8.8.8.8:53/udp for 1h", verb));
  return read_sentence(verb, options, now, std::move(words), "to");
}

Result<RuleSentence> parse_isolate_sentence(const Options& options, WallTime now) {
  WordReader words("isolate", options.words, "egress isolate unit app.service allow 10.0.0.0/8 for 2h");
  return read_sentence("isolate", options, now, std::move(words), "allow");
}

Result<TargetWords> parse_target(std::string_view verb, const Options& options) {
  WordReader words(std::string(verb), options.words,
                   verb == "rm" ? "egress rm 7, egress rm cgroup /app" : fmt::format("egress {} cgroup /app", verb));
  const auto given = subject_of_options(verb, options);
  if (!given) return given.error();
  TargetWords target{{}, *given};
  if (words.done()) return target;
  const bool ids = verb == "rm" && !target.subject && !subject_kind(words.peek()) &&
                   std::ranges::all_of(words.peek().substr(0, 1), [](char c) { return c >= '0' && c <= '9'; });
  if (ids) {
    while (!words.done()) {
      const std::string word = *words.take("a rule id");
      const auto id = parse_rule_id(word);
      if (!id) return words.explain(id.error(), word);
      if (std::ranges::count(target.ids, *id) == 0) target.ids.push_back(*id);
    }
    return target;
  }
  auto subject = option_or_words_subject(verb, options, words);
  if (!subject) return subject.error();
  target.subject = *subject;
  if (!words.done()) return words.unexpected("nothing more", {});
  return target;
}

Result<ExtendSentence> parse_extend_sentence(const Options& options, WallTime now) {
  WordReader words("extend", options.words, "egress extend 7 for 2h");
  const auto word = words.take("a rule id");
  if (!word) return word.error();
  const auto id = parse_rule_id(*word);
  if (!id) return words.explain(id.error(), *word);
  const auto tail = read_tail(words, now);
  if (!tail) return tail.error();
  if (tail->only) return words.error_at_last("means nothing here", "egress extend 7 for 2h");
  if (!tail->lifetime && !options.ttl) return words.missing("\"for DURATION\", \"until TIME\" or \"forever\"");
  const auto lifetime = choose_lifetime("extend", options, *tail, {});
  if (!lifetime) return lifetime.error();
  return ExtendSentence{*id, *lifetime};
}

Result<Lifetime> parse_lifetime_words(std::string_view verb, const Options& options, WallTime now, Lifetime otherwise) {
  WordReader words(std::string(verb), options.words, "egress run --drop 8.8.8.8 for 1h -- curl example.org");
  const auto tail = read_tail(words, now);
  if (!tail) return tail.error();
  if (tail->only) return words.error_at_last("means nothing here", "leave it out");
  return choose_lifetime(verb, options, *tail, otherwise);
}

namespace {

Result<void> require_one_address(const Destination& destination, const std::string& word) {
  const bool one = destination.prefix && destination.prefix->length == destination.prefix->address.bits();
  if (!one)
    return usage_error(fmt::format("\"{}\"", word), "not a single address",
                       "explain is asked about one packet: 8.8.8.8:53/udp");
  if (destination.ports && destination.ports->first != destination.ports->last) {
    return usage_error(fmt::format("\"{}\"", word), "not a single port",
                       "explain is asked about one packet: 8.8.8.8:53/udp");
  }
  return {};
}

std::vector<std::string> complete(Destination& destination) {
  std::vector<std::string> assumed;
  if (destination.ports && !destination.protocol) {
    destination.protocol = protocol::tcp;
    assumed.emplace_back("no protocol given: tcp");
  } else if (!destination.ports && !destination.protocol) {
    assumed.emplace_back("no port and no protocol given: rules that name one do not match");
  } else if (!destination.ports && protocol::has_ports(*destination.protocol)) {
    assumed.emplace_back("no port given: rules that name one do not match");
  }
  return assumed;
}

}  // namespace

Result<ExplainSentence> parse_explain_sentence(const Options& options) {
  WordReader words("explain", options.words, "egress explain cgroup /app 8.8.8.8:53/udp");
  const auto subject = option_or_words_subject("explain", options, words);
  if (!subject) return subject.error();
  ExplainSentence sentence{*subject, {}, {}};
  if (words.peek() == "to") words.skip();
  const auto word = words.take("a destination: ADDR[:PORT][/PROTO]");
  if (!word) return word.error();
  const auto destination = parse_destination(*word);
  if (!destination) return words.explain(destination.error(), *word);
  sentence.destination = *destination;
  if (auto one = require_one_address(sentence.destination, *word); !one) return words.explain(one.error(), *word);
  if (!words.done()) return words.unexpected("nothing more", {});
  sentence.assumed = complete(sentence.destination);
  return sentence;
}

}  // namespace egress::cli
