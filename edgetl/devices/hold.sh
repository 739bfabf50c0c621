# Holds a device for one run: makes a private folder, whose name is also the lock, waits until the connection ends,
# however it ends, then kills what still runs there and removes the folder.
#   $1 owner   $2 random token   $3 folder in which the run's folder is made
# A folder is named edgetl-job.OWNER.PID.BEGAN.BOOT.TOKEN: whether its owner still runs can be read from the name.
umask 077
LC_ALL=C
export LC_ALL
trap '' PIPE
owner=$1 mark=edgetl-$2 base=$3 watcher=

began_of() { # sets began: when process $1 began, in ticks since the boot; 0 if there is no such process
  began=0
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 0
  set -- ${line##*) }
  began=${20}
}

is_alive() { # is_alive NAME
  set -f
  IFS=.
  set -- $1
  unset IFS
  set +f
  case $3 in '' | *[!0-9]*) return 1 ;; esac
  [ "$5" = "$boot" ] || return 1
  if [ "$4" = 0 ]; then kill -0 "$3" 2>/dev/null; return; fi
  began_of "$3"
  [ "$began" = "$4" ]
}

leave() {
  trap '' HUP INT TERM
  trap - EXIT
  true 2>/dev/null >"$folder/closing"
  tries=0
  while [ -n "$watcher" ] && [ ! -e "$folder/watching" ] && [ "$tries" -lt 10000 ]; do tries=$((tries + 1)); done
  [ -z "$watcher" ] || kill "$watcher" 2>/dev/null
  tries=0
  while [ -d "$folder" ] && [ "$tries" -lt 100 ]; do
    for file in "$folder"/run.*; do
      pid=
      { read -r pid <"$file"; } 2>/dev/null
      case $pid in '' | *[!0-9]*) continue ;; esac
      { kill -9 "-$pid" || kill -9 "$pid"; } 2>/dev/null
    done
    rm -rf "$folder" 2>/dev/null
    tries=$((tries + 1))
  done
  [ -d "$folder" ] || echo "$mark left"
}

enter() { # of two that enter at once, the first by name stays
  tries=0
  while :; do
    entering= before=1
    for other in "$base"/edgetl-job.*; do
      if [ "$other" = "$folder" ]; then before=; continue; fi
      [ -d "$other" ] || continue
      name=${other##*/}
      if ! is_alive "$name"; then rm -rf "$other" 2>/dev/null; continue; fi
      if [ -n "$before" ] || [ -e "$other/ready" ] || [ "$tries" -ge 10 ]; then
        name=${name#edgetl-job.}
        name=${name%.*.*.*}
        echo "$mark busy ${name%.*} ${name##*.}"
        exit 1
      fi
      entering=1
    done
    [ -n "$entering" ] || break
    tries=$((tries + 1))
    sleep 1 2>/dev/null
  done
  true 2>/dev/null >"$folder/ready"
}

watch() { # ends the run if the other side is silent for 40 s: a connection may end without a word
  trap - EXIT HUP INT
  exec </dev/null >/dev/null 2>&1
  nap=
  trap 'kill "$nap"; exit' TERM
  true >"$folder/watching"
  while :; do
    sleep 40 &
    nap=$!
    wait "$nap"
    [ -e "$folder/beat" ] || break
    rm -f "$folder/beat"
  done
  [ -d "$folder" ] && kill -TERM $$
}

boot=0
{ read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
boot=${boot:-0}
began_of $$
folder=$base/edgetl-job.$owner.$$.$began.$boot.$2
mkdir "$folder" || exit 1
trap leave EXIT
trap 'exit 1' HUP INT TERM
enter
echo "$mark ready $(uname -m) $folder"
if command -v sleep >/dev/null 2>&1; then
  watch &
  watcher=$!
fi
while read -r line; do
  [ "$line" != bye ] || break
  true 2>/dev/null >"$folder/beat"
done
exit 0
