#!/usr/bin/env bash
# What the builds of the test images have in common, for scripts that set `image`, `label` and `key`. An image from scratch holds a
# file tree that they lay out, $root, with no more of this machine's programs and libraries than it needs.

# Whether there is nothing to build: the image is here, or can be pulled.
found_or_pulled() {
  local built
  if built=$(docker image inspect --format "{{index .Config.Labels \"$label\"}}" "$image" 2>/dev/null); then
    # Without our label it is the official image, or one of the user's own.
    [ -z "$built" ] || [ "$built" = "$key" ] || return 1
    echo "The image $image is here."
  else
    docker pull --quiet "$image" >/dev/null 2>&1 || return 1
    echo "The image $image was pulled."
  fi
}

# The named programs of this machine into /bin, with bash as sh.
copy_programs() {
  local program
  for program in bash "$@"; do
    cp --dereference "$(command -v "$program")" "$root/bin/"
  done
  ln -s bash "$root/bin/sh"
}

# Every shared library that what is below the given directories loads, at the path where it is looked for.
copy_libraries() {
  local library
  find "$@" -type f \( -name '*.so' -o -perm -u+x \) -exec ldd {} + 2>/dev/null |
    sed -nE 's/^.*[[:space:]](\/[^ ]+) \(0x.*$/\1/p' | grep -v "^$root" | sort -u |
    while read -r library; do cp --dereference --parents "$library" "$root"; done
}

# The image of a Dockerfile whose context is the tree, as root.tar.
build_from_tree() {
  local context=$root.context
  mkdir "$context"
  tar --create --numeric-owner --file "$context/root.tar" --directory "$root" .
  cp "$1" "$context/Dockerfile"
  docker build --label "$label=$key" --tag "$image" "$context" >"$context/build.log" 2>&1 || {
    tail -n 40 "$context/build.log" >&2
    return 1
  }
  # What the name stood for before.
  docker image prune --force --filter "label=$label" >/dev/null
  echo "The image $image was built."
}
