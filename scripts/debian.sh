# Debian packages without touching the host's apt; sourced by the scripts beside it.
# die() must exist. EDGETL_ARM_MIRROR names the mirror; default: the first Debian one in the host's apt configuration.
readonly KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

need_debian_tools() {
  local tool
  for tool in apt-get dpkg; do command -v "$tool" >/dev/null || die "no $tool here; this script needs a Debian host"; done
  [[ -f $KEYRING ]] || die "$KEYRING is absent; run: apt-get install debian-archive-keyring"
}

find_mirror() {
  [[ -n ${EDGETL_ARM_MIRROR:-} ]] && { printf '%s' "$EDGETL_ARM_MIRROR"; return; }
  local uri
  uri=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
    awk '$2 == "main" && $1 !~ /security/ { print $1; exit }') || true
  [[ -n $uri ]] || uri=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null) || true
  [[ -n $uri ]] || die "no Debian mirror in the host's apt configuration; set EDGETL_ARM_MIRROR"
  printf '%s' "$uri"
}

# apt with lists, cache and status of its own.
private_apt() { # private_apt STATE ARCHITECTURE ARGUMENT...
  local state=$1 architecture=$2
  shift 2
  apt-get -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$state/sources" -o Dir::State="$state/state" \
    -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" -o APT::Architecture="$architecture" \
    -o APT::Architectures::="$architecture" -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 \
    -o Dpkg::Use-Pty=0 -qq "$@"
}

open_suite() { # open_suite STATE ARCHITECTURE SUITE
  local state=$1 architecture=$2 suite=$3 mirror
  mirror=$(find_mirror)
  mkdir -p "$state"/{sources,state/lists/partial,cache/archives/partial}
  : >"$state/status"
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$mirror" "$suite" "$KEYRING" \
    >"$state/sources/debian.sources"
  private_apt "$state" "$architecture" update || die "cannot read $suite from $mirror"
}

unpack_all() { # unpack_all STATE ROOT
  local deb
  for deb in "$1"/cache/archives/*.deb; do dpkg -x "$deb" "$2"; done
}
