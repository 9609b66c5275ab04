# SPDX-License-Identifier: GPL-2.0
# To be sourced: Debian's archive, from the mirror that this machine's own apt uses, with package lists apart. apt's
# configuration and lists stay as they are, and nothing is installed.

# The archive that serves the release this machine runs: one-line and deb822 sources.
mirror() {
  {
    sed -n 's/^URIs:[[:space:]]*//p' /etc/apt/sources.list.d/*.sources 2>/dev/null
    sed -En 's/^deb (\[[^]]*\] )?([^ ]+) .*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null
  } | tr ' ' '\n' | grep -E '/debian/?$' | head -n 1
}

# Reads the lists of a suite into a directory; `archive` is then what apt-get and apt-cache need to work on them.
open_archive() { # suite, directory
  local suite=$1 apt=$2 mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  mirror=$(mirror || true) # sed complains of sources that are written the other way
  [ -n "$mirror" ] || { echo "${0##*/}: apt's sources name no Debian archive" >&2 && return 1; }
  [ -f "$keyring" ] || { echo "${0##*/}: $keyring is missing (package debian-archive-keyring)" >&2 && return 1; }
  mkdir -p "$apt"/{state/lists/partial,cache/archives/partial,etc/sources.list.d,etc/preferences.d,etc/trusted.gpg.d}
  : >"$apt/state/status"
  echo "deb [arch=amd64 signed-by=$keyring] $mirror $suite main" >"$apt/etc/sources.list"
  archive=(-q -o "Dir::Etc=$apt/etc" -o "Dir::Etc::sourcelist=$apt/etc/sources.list"
    -o "Dir::Etc::sourceparts=$apt/etc/sources.list.d" -o "Dir::State=$apt/state"
    -o "Dir::State::status=$apt/state/status" -o "Dir::Cache=$apt/cache" -o APT::Architecture=amd64
    -o APT::Architectures::=amd64 -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Sandbox::User=root)
  apt-get "${archive[@]}" update >&2
}
