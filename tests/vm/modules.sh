# SPDX-License-Identifier: GPL-2.0
# To be sourced: puts modules of the kernel in $kernel below $root/modules, and their order into $root/modules/order.

# Each after those it needs. Debian's package has no modules.dep yet, but a module says what it needs.
add_module() { # name
  local path file needed
  mkdir -p "$root/modules"
  [ -z "$(find "$root/modules" -name "$1.ko")" ] || return 0
  path=$(find "$kernel/lib/modules" -name "$1.ko*" -print -quit)
  [ -n "$path" ] || return 0 # built in, or not in this kernel
  file=$root/modules/$1.ko
  case $path in
    *.xz) xz -dc "$path" >"$file" ;;
    *.zst) zstd -q -dc "$path" >"$file" ;;
    *) cp "$path" "$file" ;;
  esac
  for needed in $(grep -az '^depends=' "$file" | tr '\0,' '\n ' | sed 's/^depends=//'); do add_module "$needed"; done
  echo "$1.ko" >>"$root/modules/order"
}
