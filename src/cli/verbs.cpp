// SPDX-License-Identifier: GPL-2.0
#include <array>

#include "cli/command.hpp"

namespace egress::cli {
namespace {

constexpr OptionRow cgroup_row{"--cgroup", "PATH", "the subject, instead of the words", &Options::cgroup,
                               Offer::Cgroup};
constexpr OptionRow unit_row{"--unit", "NAME", "the subject, instead of the words", &Options::unit, Offer::Unit};
constexpr OptionRow id_row{"--cgroup-id", "N", "the subject, instead of the words", &Options::cgroup_id,
                           Offer::Nothing};
constexpr OptionRow pid_row{"--pid", "N", "the subject: the cgroup of this process", &Options::pid, Offer::Pid};
constexpr OptionRow ttl_row{"--ttl", "DUR", "as \"for DUR\"; a plain number is seconds", &Options::ttl, Offer::Nothing};
constexpr OptionRow reason_row{"--reason", "TEXT", "why, for those who read listings later", &Options::reason,
                               Offer::Nothing};
constexpr OptionRow name_row{"--name", "NAME", "policy that the rules belong to", &Options::name, Offer::Policy};
constexpr OptionRow replace_row{"--replace", "", "take the place of a rule with the same destination",
                                &Options::replace, Offer::Nothing};
constexpr OptionRow nd_row{"--include-nd", "", "neighbour discovery and MLD too (can cut all IPv6)",
                           &Options::include_nd, Offer::Nothing};
constexpr OptionRow packet_sockets_row{"--no-packet-sockets", "", "no new packet, XDP and raw IP sockets meanwhile",
                                       &Options::no_packet_sockets, Offer::Nothing};
constexpr OptionRow established_row{"--established", "keep|cut",
                                    "connections that the rules stop: keep, or cut (default of reject)",
                                    &Options::established, Offer::Established};
constexpr OptionRow kill_row{"--kill-sockets", "", "destroy sockets of the subject's processes that the rules miss",
                             &Options::kill_sockets, Offer::Nothing};
constexpr OptionRow file_row{"-f,--file", "FILE", "policy file; - is standard input", &Options::file, Offer::File};

constexpr OptionRow list_row{"-f,--file", "FILE", "destinations, one a line, # comments; - is standard input",
                             &Options::file, Offer::File};

std::vector<OptionRow> subject_rows() { return {cgroup_row, unit_row, id_row, pid_row}; }

std::vector<OptionRow> with(std::vector<OptionRow> rows, std::initializer_list<OptionRow> more) {
  rows.insert(rows.end(), more);
  return rows;
}

std::vector<OptionRow> rule_rows() {
  return with(
      subject_rows(),
      {{"--dst-ip", "ADDR", "the destination's address, instead of the words", &Options::dst_ip, Offer::Nothing},
       {"--dst-port", "PORT", "with --dst-ip; 0 = every port and protocol", &Options::dst_port, Offer::Nothing},
       list_row,
       ttl_row,
       reason_row,
       name_row,
       replace_row,
       established_row});
}

constexpr std::string_view drop_text =
    "Packets of the subject to one of the destinations vanish: UDP senders get EPERM from send(2), TCP keeps\n"
    "retransmitting. The rule holds for the cgroup and everything below it, unless \"only\" is said, and ends by\n"
    "itself: after an hour, if nothing else is asked for. A cgroup or unit may be named before it exists.\n"
    "Connections that exist are stopped, not ended: --established cut ends them.";
constexpr std::string_view reject_text =
    "As drop, and connect(2), sendto(2) and sendmsg(2) fail at once with EPERM, so that programs notice instead\n"
    "of waiting. Connections that exist are cut, unless --established keep. The rule ends by itself: after an hour,\n"
    "if nothing else is asked for.";
constexpr std::string_view audit_text =
    "Counts packets that drop would stop, and lets them pass: a rehearsal. See the counts with egress ls, and turn\n"
    "the rule into a real one with egress drop --replace. An audit rule never decides about a packet.";
constexpr std::string_view allow_text =
    "An exception inside a wider drop or reject of the same policy and the same subject; the more specific\n"
    "destination decides. It overrides nobody else's drop: not that of another policy, of a parent or a child\n"
    "cgroup. For \"nothing but this\" use egress isolate.";
constexpr std::string_view isolate_text =
    "Default deny: the subject reaches the destinations behind \"allow\", loopback, and nothing else. It is made of\n"
    "ordinary rules (allow exceptions and a closing drop of any) that appear at the same moment and end together.\n"
    "Remember name servers. Neighbour discovery and MLD still pass, unless --include-nd.";
constexpr std::string_view ls_text =
    "Lists the rules that are not over, with the time left and what they caught so far; with a subject or --name\n"
    "only its own. Rules that other tools wrote into the maps are shown too (state map).";
constexpr std::string_view rm_text =
    "Removes rules by id, all of a subject, all of a policy, or all of the instance: all of them at the same moment,\n"
    "or none if one of the ids does not exist.";
constexpr std::string_view stats_text =
    "The three totals of the filter since it was loaded. With --watch they are painted anew each second until\n"
    "Ctrl-C; where the output is no terminal, a line is added each second.";
constexpr std::string_view explain_text =
    "Answers what would happen to a packet of the subject to this one address, which rule decides and which cgroups\n"
    "were asked on the way up. Nothing is sent. Exit status 4 when the packet would be dropped. Name port and\n"
    "protocol, as rules may ask for them; a port alone is taken as TCP, and the answer says so.";
constexpr std::string_view apply_text =
    "Makes the rules of the policy named in the file equal to the file: a packet sees the old set or the new one,\n"
    "never a mixture. With --confirm the change is taken back by the kernel unless egress confirm follows in time,\n"
    "even if this shell and its connection are gone by then. See egress-policy(5).";
constexpr std::string_view run_text =
    "Runs a command in a fresh cgroup whose rules are in force before it starts, and removes both when it ends.\n"
    "Processes the command leaves behind are killed. Signals are handed on; the exit status is the command's (128+N\n"
    "for signal N, 127 not found, 126 not executable). If egress itself is killed the rules end after 7 days, or\n"
    "after what \"for\" says.";
constexpr std::string_view strict_text =
    "Judges frames at network devices by the same rules, where no socket hook sees them: packet sockets, TUN, answers\n"
    "with SYN cookies, outer packets of tunnels. With --dev what leaves by the device is judged by the cgroup of its\n"
    "socket (tc). With --container-of what comes in from a container is judged as that cgroup's, whoever made it\n"
    "(XDP on the host side of each veth); --dev with --as does so for a device of your choice. Programs of others\n"
    "stay. A device that is made anew needs strict on again, and strict status and status say so; with --follow the\n"
    "command stays and guards what is made anew at once, a container's next start included. Fragments have no ports:\n"
    "later ones to an address that a rule with ports names are dropped.";
constexpr std::string_view load_text =
    "Loads the program into the kernel and attaches it to the root of the enforced subtree, or replaces a loaded\n"
    "program without a gap: rules and counters stay. drop and its kind do this by themselves; load is for boot and\n"
    "for other settings.";
constexpr std::string_view unload_text =
    "Takes everything of this instance off at once: links, maps, rules. It finds them in the kernel by id, so that\n"
    "lost pins, dead processes or held locks do not matter.";

std::vector<Verb> rule_verbs() {
  return {
      {"drop", "drop packets of a cgroup to a destination",
       "drop SUBJECT to DEST[,DEST...]|-f FILE [for DUR|until TIME|forever] [only]\n"
       "drop --cgroup-id N --dst-ip ADDR --dst-port PORT --ttl S",
       drop_text,
       "drop cgroup /app to 8.8.8.8:53/udp\n"
       "drop unit payroll.service to 203.0.113.0/24,2001:db8:bad::/48 for 2h --reason IR-4211\n"
       "drop cgroup /batch to any:25/tcp forever only\n"
       "drop cgroup / to -f blocklist.txt for 1d --replace\n"
       "drop --cgroup-id 12345 --dst-ip 8.8.8.8 --dst-port 53 --ttl 3600",
       Words::RuleSentence, with(rule_rows(), {nd_row, packet_sockets_row, kill_row}), verb_add},
      {"reject", "as drop, and connect(2) fails at once",
       "reject SUBJECT to DEST[,DEST...]|-f FILE [for DUR|until TIME|forever] [only]", reject_text,
       "reject unit build.service to any:443/tcp for 30m\nreject pid 4711 to [2001:db8::1]:8000-8099",
       Words::RuleSentence, with(rule_rows(), {nd_row, packet_sockets_row, kill_row}), verb_add},
      {"audit", "count what drop would stop, and let it pass",
       "audit SUBJECT to DEST[,DEST...]|-f FILE [for DUR|until TIME|forever] [only]", audit_text,
       "audit cgroup /app to any:53/udp for 1d", Words::RuleSentence, rule_rows(), verb_add},
      {"allow", "an exception inside a wider rule",
       "allow SUBJECT to DEST[,DEST...]|-f FILE [for DUR|until TIME|forever] [only]", allow_text,
       "allow cgroup /app to 203.0.113.7:443/tcp for 2h\nallow unit payroll.service to 10.0.0.53:53 --name "
       "contain-payroll",
       Words::RuleSentence, rule_rows(), verb_add},
      {"isolate", "nothing but some destinations",
       "isolate SUBJECT [allow DEST[,DEST...]] [for DUR|until TIME|forever] [only]", isolate_text,
       "isolate unit payroll.service allow 10.0.0.0/8,10.0.0.53:53 for 2h\nisolate pid 4711 for 15m --no-loopback",
       Words::IsolateSentence,
       with(subject_rows(),
            {ttl_row,
             reason_row,
             name_row,
             replace_row,
             established_row,
             kill_row,
             {"--no-loopback", "", "cut 127.0.0.0/8 and ::1 too", &Options::no_loopback, Offer::Nothing},
             nd_row,
             packet_sockets_row}),
       verb_isolate},
  };
}

std::vector<Verb> list_verbs() {
  return {
      {"ls", "list rules", "ls [SUBJECT] [--name NAME]", ls_text, "ls\nls cgroup /app\nls -o json", Words::SubjectOnly,
       with(subject_rows(), {name_row}), verb_ls},
      {"show",
       "all about one rule",
       "show ID",
       "Shows every field of one rule, its counts and the cgroups it stands for now.",
       "show 7\nshow 7 -o json",
       Words::RuleIds,
       {},
       verb_show},
      {"rm", "remove rules", "rm ID...\nrm SUBJECT\nrm --name NAME\nrm --all", rm_text,
       "rm 7 8\nrm cgroup /app\nrm --name contain-payroll\nrm --all", Words::IdsOrSubject,
       with(subject_rows(), {name_row, {"--all", "", "every rule of the instance", &Options::all, Offer::Nothing}}),
       verb_rm},
      {"extend",
       "let a rule end at another time",
       "extend ID for DUR|until TIME|forever",
       "Gives a rule a new end, counted from now. It may be earlier or later than the old one; the counts stay.",
       "extend 7 for 2h\nextend 7 until 2026-12-24T18:00:00Z\nextend 7 forever",
       Words::IdAndLifetime,
       {ttl_row},
       verb_extend},
      {"stats",
       "totals of the filter",
       "stats [--watch]",
       stats_text,
       "stats\nstats --watch\nstats -o json",
       Words::None,
       {{"-w,--watch", "", "go on until interrupted, each second", &Options::watch, Offer::Nothing}},
       verb_stats},
      {"explain", "what would happen to a packet", "explain SUBJECT ADDR[:PORT][/PROTO]", explain_text,
       "explain cgroup /app 8.8.8.8:53/udp\nexplain pid 4711 [2001:db8::1]:443", Words::Explain, subject_rows(),
       verb_explain},
      {"status",
       "whether packets are being judged",
       "status",
       "Asks the kernel, not the file system, whether the instance is loaded and attached, and proves it with a "
       "packet\n"
       "that must be dropped. Exit status 0 only if it enforces.",
       "status\nstatus -o json",
       Words::None,
       {},
       verb_status},
      {"doctor",
       "what this machine can do and what is in the way",
       "doctor",
       "Status, and the features this kernel has or lacks, the memory of the maps, and everything found that may let\n"
       "packets pass or break enforcement, each with a remedy.",
       "doctor\ndoctor -o json",
       Words::None,
       {},
       verb_doctor},
  };
}

std::vector<Verb> policy_verbs() {
  return {
      {"apply",
       "make a policy's rules equal to a file",
       "apply -f FILE [--confirm DUR] [--established keep|cut]",
       apply_text,
       "apply -f payroll.yaml\napply -f payroll.yaml --confirm 60s\negress export --name old | egress apply -f -",
       Words::None,
       {file_row,
        established_row,
        kill_row,
        {"--confirm", "DUR", "take the change back unless confirmed within DUR", &Options::confirm, Offer::Nothing}},
       verb_apply},
      {"check",
       "read a policy file, change nothing",
       "check -f FILE",
       "Reads a policy file and its lists and reports every error with file, line and column. Needs no privileges.",
       "check -f payroll.yaml",
       Words::None,
       {file_row},
       verb_check},
      {"diff",
       "what apply would change",
       "diff -f FILE",
       "Compares a policy file with the rules in the kernel: + would be added, - removed, = kept. Changes nothing.",
       "diff -f payroll.yaml",
       Words::None,
       {file_row},
       verb_diff},
      {"export",
       "print the rules as policy files",
       "export [--name NAME]",
       "Prints the rules in the kernel as YAML that apply reads: every policy as a document of its own, or the one "
       "named.",
       "export > rules.yaml\nexport --name contain-payroll",
       Words::None,
       {name_row},
       verb_export},
      {"confirm",
       "keep the last apply --confirm",
       "confirm",
       "Makes the last apply with --confirm permanent. Without it the former rules are in force again in time.",
       "confirm",
       Words::None,
       {},
       verb_confirm},
  };
}

std::vector<Verb> system_verbs() {
  return {
      {"run",
       "run a command under rules of its own",
       "run [--drop|--reject|--audit DEST]... [--default-deny] [--allow DEST]... [for DUR] -- COMMAND [ARG...]",
       run_text,
       "run --drop 169.254.169.254 -- ./build.sh\nrun --default-deny --allow 10.0.0.53:53 --allow any:443/tcp for 1h "
       "-- npm ci",
       Words::Run,
       {{"--drop", "DEST", "drop packets to DEST; may be repeated", &Options::drop, Offer::Nothing},
        {"--reject", "DEST", "refuse DEST at once; may be repeated", &Options::reject, Offer::Nothing},
        {"--audit", "DEST", "count packets to DEST; may be repeated", &Options::audit, Offer::Nothing},
        {"--allow", "DEST", "an exception; may be repeated", &Options::allow, Offer::Nothing},
        {"--default-deny", "", "nothing but loopback and what is allowed", &Options::default_deny, Offer::Nothing},
        {"--no-loopback", "", "with --default-deny: cut loopback too", &Options::no_loopback, Offer::Nothing},
        nd_row,
        packet_sockets_row,
        ttl_row,
        reason_row},
       verb_run,
       true},
      {"strict",
       "judge frames at network devices too",
       "strict on --dev DEV... [--follow]\nstrict on --container-of PID|CGROUP [--follow]\n"
       "strict on --dev DEV --as CGROUP|UNIT [--follow]\n"
       "strict status\nstrict off [--dev DEV...]",
       strict_text,
       "strict on --dev eth0\nstrict on --container-of 4711\nstrict on --dev veth7 --as /machine.slice/web\n"
       "strict on --container-of /machine.slice/web --follow\nstrict off",
       Words::OnStatusOff,
       {{"--dev", "DEV", "a network device; may be repeated", &Options::devices, Offer::Device},
        {"--container-of", "PID|CGROUP", "the host side of every veth of this container", &Options::container_of,
         Offer::Cgroup},
        {"--as", "CGROUP|UNIT", "what the devices receive is judged as this cgroup's", &Options::as, Offer::Cgroup},
        {"--as-filter", "", "attach a clsact filter, as kernels before 6.6 need, instead of a link",
         &Options::as_filter, Offer::Nothing},
        {"--follow", "", "stay, and guard devices that are made anew, until SIGINT or SIGTERM", &Options::follow,
         Offer::Nothing},
        {"--strict-l2", "", "drop received frames that are neither IP nor ARP, where a rule decides",
         &Options::strict_l2, Offer::Nothing}},
       verb_strict},
      {"load",
       "load the program",
       "load [--debug] [--max-rules N] [--max-map-rules N]",
       load_text,
       "load\nload --max-rules 1000000\nload --debug",
       Words::None,
       {{"--debug", "", "print each verdict to the kernel's trace pipe", &Options::debug, Offer::Nothing},
        {"--max-rules", "N", "room for rules, 65536 by default; what is loaded keeps its own", &Options::max_rules,
         Offer::Nothing},
        {"--max-map-rules", "N", "room for rules that other tools write into the maps, 65536 by default",
         &Options::max_map_rules, Offer::Nothing}},
       verb_load},
      {"unload",
       "take everything off",
       "unload [--force]",
       unload_text,
       "unload\nunload --force",
       Words::None,
       {{"--force", "", "no error if there is nothing to take off", &Options::force, Offer::Nothing}},
       verb_unload},
      {"completion",
       "print a completion script",
       "completion bash|zsh|fish",
       "Prints a script that completes verbs, options, subjects, cgroup paths and rule ids.",
       "completion bash > /usr/share/bash-completion/completions/egress\ncompletion zsh > \"${fpath[1]}/_egress\"\n"
       "completion fish > ~/.config/fish/completions/egress.fish",
       Words::Shells,
       {},
       verb_completion},
      {"version",
       "print the version",
       "version",
       "Prints the version of the command and of the kernel/user contract.",
       "version",
       Words::None,
       {},
       verb_version},
      {"help",
       "help for a verb",
       "help [VERB]",
       "Prints the help of a verb, or the list of verbs.",
       "help drop",
       Words::Verbs,
       {},
       verb_help},
  };
}

std::vector<Verb> every_verb() {
  std::vector<Verb> all = rule_verbs();
  for (auto group : {list_verbs(), policy_verbs(), system_verbs()}) all.insert(all.end(), group.begin(), group.end());
  return all;
}

}  // namespace

std::span<const Verb> verbs() {
  static const std::vector<Verb> all = every_verb();
  return all;
}

}  // namespace egress::cli
