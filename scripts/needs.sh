# Shared by the scripts here; sourced, never run. Checks that the few programs that a build needs are there. As root on a
# Debian-like system it installs them, otherwise it says which are missing. The Rust toolchain is never installed by itself.

# needs PROGRAM... : of cc, python3, venv, npm, chromium.
needs() {
  local program missing=() packages=()
  if ! command -v cargo > /dev/null; then
    echo "cargo is missing: install a Rust toolchain (1.95 or newer), for example with https://rustup.rs" >&2
    return 1
  fi
  for program in "$@"; do
    case "$program" in
      cc) command -v cc > /dev/null && continue; packages+=(gcc libc6-dev) ;;
      venv) python3 -c 'import ensurepip, venv' 2> /dev/null && continue; packages+=(python3-venv) ;;
      # Without a font a browser shows nothing to measure.
      chromium) command -v chromium > /dev/null && continue; packages+=(chromium fonts-dejavu-core) ;;
      *) command -v "$program" > /dev/null && continue; packages+=("$program") ;;
    esac
    missing+=("$program")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    echo "installing ${packages[*]} (missing: ${missing[*]})" >&2
    (
      # Another script may be installing; apt would give up.
      if command -v flock > /dev/null; then exec 9> "${TMPDIR:-/tmp}/doorward-apt.lock"; flock 9; fi
      apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
    ) >&2
  else
    echo "missing: ${missing[*]}. On Debian or Ubuntu: sudo apt-get install ${packages[*]}" >&2
    return 1
  fi
}
