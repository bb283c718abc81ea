#!/usr/bin/env bash
# A Docker daemon for a machine that has none and no service manager either: dockerd.sh start|stop
#
# start  does nothing where a daemon answers; otherwise installs Debian's docker.io if needed and runs dockerd.
# stop   ends the daemon that start began, with the test containers in it; any other daemon is left alone.
set -euo pipefail

state="$(cd "$(dirname "$0")/.." && pwd)/.toolchain/dockerd"
pidfile=$state/dockerd.pid
log=$state/dockerd.log

fail() {
  printf 'dockerd.sh: %s\n' "$1" >&2
  [ -z "${2:-}" ] || tail -n 30 "$2" >&2
  exit 1
}

version() { timeout 5 docker version --format '{{.Server.Version}}' 2>/dev/null; }

# Where process 1 is slow to reap, a killed daemon still looks alive to `kill -0`; a zombie has no executable, though.
running() { [[ $(readlink "/proc/$1/exe" 2>/dev/null) == */dockerd ]]; }

our_pid() {
  local pid
  pid=$(cat "$pidfile" 2>/dev/null) && running "$pid" && printf '%s' "$pid"
}

# Tries a command five times a second, for the given seconds.
within() {
  local tries=$(($1 * 5))
  shift
  until "$@"; do
    ((tries-- > 0)) || return 1
    sleep 0.2
  done
}

install_docker() {
  command -v dockerd >/dev/null && command -v iptables >/dev/null && return
  command -v apt-get >/dev/null || fail "no Docker daemon answers and there is no apt-get to install one: start Docker yourself"
  local apt=(apt-get -q -o DPkg::Lock::Timeout=120)
  { "${apt[@]}" update && DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends docker.io iptables; } \
    >"$state/apt.log" 2>&1 || fail "apt-get could not install docker.io" "$state/apt.log"
}

answers_or_ended() { version >/dev/null || ! kill -0 "$1" 2>/dev/null; }

start() {
  local found
  if command -v docker >/dev/null && found=$(version); then
    echo "Docker $found answers already."
    return
  fi
  [ -z "${DOCKER_HOST:-}" ] || fail "nothing answers at DOCKER_HOST=$DOCKER_HOST: unset it, or start that daemon"
  [ "$(id -u)" = 0 ] && [ "$(uname -s)" = Linux ] || fail "no Docker daemon answers, and only root on Linux can start one: start Docker yourself"
  mkdir -p "$state"
  install_docker
  # After a hard kill these can name processes that are gone, or somebody else's, and dockerd would refuse to start.
  our_pid >/dev/null || rm -f "$pidfile" /var/run/docker/containerd/containerd.pid
  setsid dockerd --pidfile "$pidfile" >"$log" 2>&1 </dev/null &
  local child=$!
  within 60 answers_or_ended "$child" || fail "dockerd did not answer within a minute" "$log"
  found=$(version) || fail "dockerd ended while starting" "$log"
  echo "Docker $found started (process $(cat "$pidfile"), log $log)."
}

ended() { ! running "$1"; }

stop() {
  local pid
  if ! pid=$(our_pid); then
    echo "No Docker daemon of ours runs."
    return
  fi
  docker ps --all --quiet --filter label=org.testcontainers=true | xargs --no-run-if-empty docker rm --force --volumes >/dev/null
  kill "$pid"
  within 30 ended "$pid" || fail "dockerd (process $pid) did not stop within 30 seconds" "$log"
  rm -f "$pidfile"
  echo "Docker stopped."
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  *) fail "say start or stop" ;;
esac
