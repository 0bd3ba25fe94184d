#!/bin/sh
# Installs nanoface on a Jetson Nano (JetPack 4.6.1 to 4.6.6), step by step as docs/jetson-nano.md has it.
# What is there already is left alone, so it may be run again at any time. JetPack's own packages are never replaced.
set -eu

PIP=21.3.1          # the last for Python 3.6; JetPack's 9.0.1 takes no aarch64 wheels and compiles everything instead
SETUPTOOLS=59.6.0   # the last for Python 3.6
WHEEL=0.37.1
PYCUDA=2022.1       # the last for Python 3.6
NUMPY=1.19.5        # for the conversion only
PACKAGES="python3-venv python3-dev build-essential python3-numpy libopencv-python python3-libnvinfer"
NEEDED="imageio_ffmpeg pythonosc paho aiohttp"  # versions before had some of them not
NO_USER_SITE=nanoface-no-user-site.pth  # ~/.local would go before JetPack's packages, and the service does not see it
SWAP_NEEDED_KB=3670016
ENVIRONMENT_MB=300 CONVERT_MB=600 NETWORKS_MB=300 SWAP_MB=4096
AGAIN="then run sh setup.sh again: it goes on where it ended"

usage() {
    cat <<'END'
usage: sh setup.sh [--dry-run] [--yes] [--no-swap] [--no-convert] [--jetson-stats] [--root DIR] [--help]

Installs nanoface on a Jetson Nano with JetPack 4.6.1 to 4.6.6: checks the board, adds swap and packages, makes the
environments .venv (runs) and .venv-convert (converts networks), fetches the networks and asks nanoface doctor.

  --dry-run       print every command, change nothing
  --yes           answer every question with yes
  --no-swap       make no swap file
  --no-convert    make no .venv-convert and fetch nothing: engines/onnx was copied from a PC
  --jetson-stats  install jtop too (for the whole system; it is not needed)
  --root DIR      look for /etc, /proc, /usr and /swapfile below DIR; for tests
  --help          this text
END
}

say() { printf '%s\n' "$*"; }
step() { printf '== %s\n' "$*"; }
note() { printf '   note: %s\n' "$*"; }
fail() {
    printf 'setup.sh: %s\n' "$*" >&2
    exit 1
}

dry=0 yes=0 swap=1 convert=1 jtop=0 root=
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry=1 ;;
        --yes) yes=1 ;;
        --no-swap) swap=0 ;;
        --no-convert) convert=0 ;;
        --jetson-stats) jtop=1 ;;
        --root)
            [ $# -ge 2 ] || fail "--root needs a folder; see sh setup.sh --help"
            root=${2%/}
            [ -d "$2" ] || fail "--root $2: there is no such folder"
            shift ;;
        --help | -h)
            usage
            exit 0 ;;
        *) fail "$1 is unknown; see sh setup.sh --help" ;;
    esac
    shift
done

here=$(cd "$(dirname "$0")" && pwd)
[ -f "$here/setup.py" ] && [ -f "$here/tests/pins/py36.txt" ] ||
    fail "$here is no checkout of nanoface: run the setup.sh that lies beside setup.py"
export PIP_DISABLE_PIP_VERSION_CHECK=1
export PYTHONNOUSERSITE=1
unset PYTHONPATH PYTHONHOME  # ROS sets the first; the service has neither
# where an environment is active, the Python below it is meant
[ -z "${VIRTUAL_ENV:-}" ] || PATH=$(printf '%s\n' ":$PATH" | sed "s|:$VIRTUAL_ENV/bin||g; s|^:||")

change() {  # change CURE COMMAND ...: runs a command that changes something; CURE ends the message when it fails
    cure=$1
    shift
    if [ "$dry" = 1 ]; then
        printf '   would run: %s\n' "$*"
        return 0
    fi
    printf '   %s\n' "$*"
    "$@" || fail "\"$*\" failed (see above): $cure"
}

change_as_root() {
    if [ "$(id -u)" = 0 ]; then
        change "$@"
    else
        because=$1
        shift
        change "$because" sudo -H "$@"
    fi
}

agreed() {  # agreed QUESTION OPTION: --yes, or the user's answer; OPTION answers no without a terminal
    if [ "$yes" = 1 ] || [ "$dry" = 1 ]; then
        return 0
    fi
    [ -t 0 ] || fail "$1 Nobody is here to answer: run it with --yes or $2"
    printf '%s [y/N] ' "$1"
    read -r answer || answer=
    case $answer in y | Y | yes) return 0 ;; *) return 1 ;; esac
}

kilobytes() {  # kilobytes KEY: a line of /proc/meminfo; 0 where there is none
    found=$(sed -n "s/^$1: *\([0-9][0-9]*\) kB.*/\1/p" "$root/proc/meminfo" 2>/dev/null || true)
    printf '%s\n' "${found:-0}"
}

free_mb() { df -Pk "$1" | awk 'NR == 2 { print int($4 / 1024) }'; }
wants_jtop() { [ "$jtop" = 1 ] && [ ! -e "$root/usr/local/bin/jtop" ]; }
installed() { [ -e "$here/$1/lib/python3.6/site-packages/$2" ]; }  # installed ENVIRONMENT PACKAGE

whole() {  # whole ENVIRONMENT: nanoface is there with all that it needs, without which its command does not start
    [ -x "$here/$1/bin/nanoface" ] || return 1
    for package in $NEEDED; do installed "$1" "$package" || return 1; done
}

is_tegra() {  # also where there is no /etc/nv_tegra_release
    grep -qsa 'nvidia,tegra' "$root/proc/device-tree/compatible" || case $(uname -r) in *-tegra) ;; *) false ;; esac
}

fail_without_release() {
    is_tegra || fail "this is for the Jetson; on a PC: make run"
    if [ -e "$root/.dockerenv" ] || [ -e "$root/run/.containerenv" ]; then
        fail "this container does not see the Jetson's /etc/nv_tegra_release: start it with --runtime nvidia" \
            "-v /etc/nv_tegra_release:/etc/nv_tegra_release:ro, $AGAIN"
    fi
    fail "/etc/nv_tegra_release is missing, which says what this Jetson has:" \
        "sudo apt-get install --reinstall nvidia-l4t-core, $AGAIN"
}

check_board() {
    step "board"
    [ -f "$root/etc/nv_tegra_release" ] || fail_without_release
    if [ "$(id -u)" = 0 ] && [ -n "${SUDO_USER:-}" ]; then
        fail "run it without sudo: it asks for the password where it needs it, and the rest is to belong to $SUDO_USER"
    fi
    release=$(sed -n '1s/^# R\([0-9]*\) .*REVISION: *\([0-9.]*\).*/\1.\2/p' "$root/etc/nv_tegra_release")
    wanted="flash JetPack 4.6.1 to 4.6.6 (L4T 32.7.1 to 32.7.6), see docs/jetson-nano.md"
    case $release in
        32.7.[1-9]*) ;;
        32.7*) fail "L4T $release is older than JetPack 4.6.1: $wanted" ;;
        32.6*) fail "L4T $release is JetPack 4.6, which has TensorRT 8.0 and not 8.2: $wanted" ;;
        32.*) fail "L4T $release is too old, its TensorRT is not 8.2: $wanted" ;;
        "" | .*) fail "the release in /etc/nv_tegra_release cannot be read: $wanted" ;;
        *) fail "L4T $release is no JetPack 4.6: $wanted" ;;
    esac
    model=$(cat "$root/proc/device-tree/model" 2>/dev/null | tr -d '\000')
    say "   ${model:-unknown board}, L4T $release"
    case $model in
        *Nano*) ;;
        *) note "nanoface is written for the Jetson Nano; here nothing is known of its speed" ;;
    esac
    [ "$(kilobytes MemTotal)" -ge 3000000 ] || note "less than 4 GB of memory: nothing is known of how the build fares"
}

check_python() {
    step "python"
    seen=$(python3 -c 'import os, sys; v = sys.version_info
print("%d.%d %s" % (v[0], v[1], os.path.realpath(sys.base_prefix)))' 2>/dev/null || true)
    there=$(command -v python3 || true)
    case $there in
        "$root"/usr/bin/* | "$root"/bin/*)
            cure="sudo ln -sf python3.6 /usr/bin/python3, $AGAIN"
            [ ! -L "$root/etc/alternatives/python3" ] ||
                cure="sudo update-alternatives --config python3, choose 3.6, $AGAIN" ;;
        *) cure="PATH=/usr/bin:\$PATH sh setup.sh (or first: conda deactivate, pyenv shell system)" ;;
    esac
    case $seen in
        "3.6 /usr") ;;
        "") fail "python3 is not there or does not run: sudo apt-get install python3, $AGAIN" ;;
        3.6*) fail "$there is of the Python in ${seen#* }, which does not see JetPack's TensorRT and OpenCV: $cure" ;;
        *) fail "$there is Python ${seen%% *} and not 3.6, for which JetPack has TensorRT and OpenCV: $cure" ;;
    esac
    say "   python3 is ${seen%% *}"
    for package in numpy cv2 tensorrt; do
        folder=$root/usr/local/lib/python3.6/dist-packages
        [ ! -d "$folder/$package" ] || note "$folder/$package hides JetPack's own: see docs/jetson-nano.md"
    done
    check_environment
    nvcc=$(command -v nvcc || true)
    for folder in "$root/usr/local/cuda/bin" "$root/usr/local/cuda-10.2/bin"; do
        [ -n "$nvcc" ] || [ ! -x "$folder/nvcc" ] || nvcc=$folder/nvcc
    done
    [ -n "$nvcc" ] || installed .venv pycuda ||
        fail "nvcc is missing, without which pycuda cannot be built: sudo apt-get install nvidia-jetpack, $AGAIN"
}

check_environment() {  # .venv has none of what JetPack has; under the name of a package, or of what pip notes of it
    for path in "$here"/.venv/lib*/python*/*-packages/*; do
        case ${path##*/} in
            numpy | numpy[.-]* | __editable__*numpy* | cv2* | opencv[_-]* | *tensorrt*)
                fail "$path hides JetPack's own, which nothing of pip's can replace: rm -r $here/.venv, $AGAIN" ;;
        esac
    done
}

check_room() {
    step "room"
    need=0
    installed .venv pycuda || need=$((need + ENVIRONMENT_MB))
    if [ "$convert" = 1 ]; then
        [ -x "$here/.venv-convert/bin/nanoface" ] || need=$((need + CONVERT_MB))
        [ -f "$here/engines/onnx/index.json" ] || need=$((need + NETWORKS_MB))
    fi
    room=$(free_mb "$here")
    say "   $room MB free, $need MB needed"
    [ "$room" -ge "$need" ] || fail "$here has $room MB free and needs $need MB: make room, or use a larger card"
    if [ "$swap" = 1 ] && [ "$(kilobytes SwapTotal)" -lt "$SWAP_NEEDED_KB" ]; then
        room=$(free_mb "$root/")
        [ "$room" -ge "$((SWAP_MB + need))" ] || fail "the swap file needs $SWAP_MB MB beside the $need MB, and" \
            "$room MB are free: make room, use a larger card, or say --no-swap"
    fi
}

add_swap() {
    step "swap"
    [ "$swap" = 1 ] || return 0
    total=$(kilobytes SwapTotal)
    if [ "$total" -ge "$SWAP_NEEDED_KB" ]; then
        say "   $((total / 1024)) MB of swap"
        return 0
    fi
    file=$root/swapfile
    if grep -q '^/swapfile ' "$root/proc/swaps" 2>/dev/null; then
        note "/swapfile is in use and too small for the build of the engines: make it 4 GB"
        return 0
    fi
    if ! agreed "$((total / 1024)) MB of swap are few for the build of engines. Make /swapfile of 4 GB?" --no-swap; then
        note "no swap file: nanoface build may be killed for memory"
        return 0
    fi
    change_as_root "make room, or say --no-swap" fallocate -l "${SWAP_MB}M" "$file"
    change_as_root "is the disk read-only?" chmod 600 "$file"
    change_as_root "remove /swapfile, $AGAIN" mkswap "$file"
    change_as_root "remove /swapfile, $AGAIN" swapon "$file"
    if ! grep -q '^/swapfile ' "$root/etc/fstab" 2>/dev/null; then
        change_as_root "add the line yourself, $AGAIN" \
            sh -c "echo '/swapfile none swap sw 0 0' >> '$root/etc/fstab'"
    fi
}

add_packages() {
    step "packages of the system"
    missing=
    for package in $PACKAGES $(! wants_jtop || echo python3-pip); do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$status" = installed ] || missing="$missing $package"
    done
    if [ -z "$missing" ]; then
        say "   all there"
        return 0
    fi
    change_as_root "check the network and the time (date), $AGAIN" apt-get update
    # shellcheck disable=SC2086  # one word for each package
    change_as_root "check what apt says, $AGAIN" apt-get install -y $missing
}

make_environment() {  # make_environment FOLDER: it sees JetPack's packages, and has a pip that knows aarch64 wheels
    if [ -f "$here/$1/pyvenv.cfg" ] && ! grep -q '^include-system-site-packages *= *true' "$here/$1/pyvenv.cfg"; then
        fail "$here/$1 does not see JetPack's packages: remove that folder, $AGAIN"
    fi
    made_by=$(sed -n 's/^home *= *//p; s/^version *= *//p' "$here/$1/pyvenv.cfg" 2>/dev/null | tr '\n' ' ')
    case $made_by in
        "" | "/usr/bin 3.6"* | "/bin 3.6"* | "$here/.venv/bin 3.6"*) ;;
        *) fail "$here/$1 is of another Python (${made_by% }) than the system's 3.6: remove that folder, $AGAIN" ;;
    esac
    if [ ! -x "$here/$1/bin/python" ] || ! installed "$1" pip; then
        change "remove $here/$1, $AGAIN" python3 -m venv --system-site-packages "$here/$1"
    fi
    if ! installed "$1" "$NO_USER_SITE"; then  # what was installed until now may lean on ~/.local
        change "is the disk full?" sh -c "rm -f '$here/$1/bin/nanoface' &&
            echo 'import site; site.ENABLE_USER_SITE = False' > '$here/$1/lib/python3.6/site-packages/$NO_USER_SITE'"
    fi
    if ! installed "$1" "pip-$PIP.dist-info" || ! installed "$1" "wheel-$WHEEL.dist-info"; then
        change "check the network, $AGAIN" "$here/$1/bin/python" -m pip install -q \
            "pip==$PIP" "setuptools==$SETUPTOOLS" "wheel==$WHEEL"
    fi
}

add_environment() {
    step ".venv: what runs nanoface"
    make_environment .venv
    if ! whole .venv; then
        change "check the network, $AGAIN" "$here/.venv/bin/python" -m pip install -q -e "$here"
    fi
    if ! installed .venv pycuda; then
        say "   pycuda is compiled now, which takes some minutes"
        # with pip's isolation it would compile a numpy of its own first
        change "if it was killed, memory was short: see docs/jetson-nano.md, Trouble; $AGAIN" \
            env "PATH=$(dirname "$nvcc"):$PATH" "$here/.venv/bin/python" -m pip install -q --no-build-isolation \
            "pycuda==$PYCUDA"
    fi
}

add_convert() {
    step ".venv-convert: what converts the networks"
    if [ "$convert" = 0 ]; then
        [ -f "$here/engines/onnx/index.json" ] || [ "$dry" = 1 ] ||
            fail "engines/onnx is empty: copy that folder from the PC where nanoface models fetch was run, $AGAIN"
        return 0
    fi
    make_environment .venv-convert
    if ! whole .venv-convert; then
        change "check the network, $AGAIN" "$here/.venv-convert/bin/python" -m pip install -q \
            -c "$here/tests/pins/py36.txt" "numpy==$NUMPY" -e "${here}[onnxruntime,convert]"
    fi
    step "networks"
    change "check the network, $AGAIN" "$here/.venv-convert/bin/nanoface" models fetch
}

add_jetson_stats() {
    if wants_jtop; then
        step "jetson-stats"
        change_as_root "leave out --jetson-stats: nothing needs it" python3 -s -m pip install 'jetson-stats>=4.2,<5'
    fi
}

ask_doctor() {
    step "doctor"
    if [ "$dry" = 1 ]; then
        say "   would run: $here/.venv/bin/nanoface doctor"
        return 0
    fi
    "$here/.venv/bin/nanoface" doctor || fail "nanoface cannot run yet: do what the doctor says above, $AGAIN"
}

say_next() {
    if [ "$dry" = 1 ]; then
        say "nothing was changed"
        return 0
    fi
    cat <<END

nanoface is installed. What comes next (docs/jetson-nano.md says more):
  cd $here && . .venv/bin/activate
  sudo nvpmodel -m 0 && sudo jetson_clocks     the full clocks; needs a supply of 5 V and 4 A
  nanoface build                               the engines; takes some minutes
  nanoface run --output jsonl:-
END
    case $(systemctl get-default 2>/dev/null || true) in
        graphical*) say "The desktop takes memory that the build wants: sudo systemctl set-default multi-user.target" ;;
    esac
}

check_board
check_python
check_room
add_swap
add_packages
add_environment
add_convert
add_jetson_stats
ask_doctor
say_next
