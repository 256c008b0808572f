#!/usr/bin/env bash
# A microphone without hardware: runs COMMAND with a private PulseAudio server whose only source is a pipe that is
# fed in real time. Works as root, without a sound card, without D-Bus. What it starts it ends, and nothing else.
#
#   scripts/virtual-mic.sh [--rate HZ] [--channels N] [--wav FILE] [--lead SECONDS] [--] COMMAND...
#
# The microphone is silent but for what is played into it: FILE, after SECONDS of silence (0.5 without --lead), and
# what COMMAND asks for by writing lines into the pipe $VIRTUAL_MIC:
#
#   play FILE        a 16-bit WAV of the microphone's rate, mono or with as many channels as it has
#   silence          leave out the rest of what is playing
#   starve SECONDS   give the server no samples at all for that long
#   remove           take the source away from the running server, as when a cable is pulled
#   kill             end the server without a word
#
# What was done is told, with the time (seconds since 1970), in the lines of $VIRTUAL_MIC_LOG. Both hosts see the
# microphone: PulseAudio as `virtual_mic`, ALSA as its device `default`. Without --rate the rate is that of FILE, or 16000.
# Needs: pulseaudio pulseaudio-utils libasound2-plugins python3.
set -euo pipefail

RATE='' CHANNELS=1 WAV='' LEAD=0.5
while [ $# -gt 0 ]; do
    case "$1" in
        --rate) RATE=${2:?} && shift ;;
        --channels) CHANNELS=${2:?} && shift ;;
        --wav) WAV=${2:?} && shift ;;
        --lead) LEAD=${2:?} && shift ;;
        --) shift && break ;;
        -*)
            sed -n '2,19s/^# \{0,1\}//p' "$0"
            if [ "$1" = --help ] || [ "$1" = -h ]; then exit 0; else exit 2; fi
            ;;
        *) break ;;
    esac
    shift
done
[ $# -gt 0 ] || { echo "error: there is no command to run; see --help" >&2 && exit 2; }
for need in pulseaudio pactl python3; do
    command -v "$need" >/dev/null || {
        echo "error: $need is not installed" >&2
        echo "  hint: apt-get install pulseaudio pulseaudio-utils libasound2-plugins python3" >&2
        exit 69
    }
done

DIR=$(mktemp -d)
SERVER='' FEEDER=''
# shellcheck disable=SC2317 # called by the trap
finish() {
    local pid
    for pid in $FEEDER $SERVER; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$DIR"
}
trap finish EXIT
trap 'exit 143' TERM INT HUP

if [ -z "$RATE" ]; then
    RATE=16000
    [ -z "$WAV" ] || RATE=$(python3 -c 'import sys, wave; print(wave.open(sys.argv[1]).getframerate())' "$WAV")
fi

# ALSA programs reach the same server through its plugin.
cat >"$DIR/asound.conf" <<END
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse hint { show on description "Default via PulseAudio" } }
ctl.!default { type pulse }
END
export XDG_RUNTIME_DIR=$DIR PULSE_RUNTIME_PATH=$DIR PULSE_STATE_PATH=$DIR PULSE_COOKIE=$DIR/cookie
export PULSE_SERVER=unix:$DIR/native ALSA_CONFIG_PATH=$DIR/asound.conf
export VIRTUAL_MIC=$DIR/control VIRTUAL_MIC_LOG=$DIR/log
mkfifo "$VIRTUAL_MIC"
: >"$VIRTUAL_MIC_LOG"

HOME=$DIR pulseaudio -n --daemonize=no --use-pid-file=no --disallow-exit --exit-idle-time=-1 --log-target=stderr --log-level=error \
    -L "module-native-protocol-unix auth-anonymous=1 auth-cookie-enabled=0 socket=$DIR/native" \
    -L "module-pipe-source source_name=virtual_mic file=$DIR/samples format=s16le rate=$RATE channels=$CHANNELS" \
    2>"$DIR/server.log" &
SERVER=$!
for _ in $(seq 200); do
    pactl info >/dev/null 2>&1 && break
    kill -0 "$SERVER" 2>/dev/null || { echo "error: the sound server did not start" >&2 && cat "$DIR/server.log" >&2 && exit 70; }
    sleep 0.05
done
pactl set-default-source virtual_mic
MODULE=$(pactl list short modules | awk '$2 == "module-pipe-source" { print $1 }')

cat >"$DIR/feed.py" <<'PY'
import fcntl, os, signal, subprocess, sys, time, wave

samples, control, log, server, module, rate, channels, wav, lead = sys.argv[1:]
rate, channels, lead = int(rate), int(channels), float(lead)
frame = 2 * channels
block = rate // 50


def tell(*words):
    with open(log, "a") as f:
        f.write(" ".join(["%.4f" % time.time(), *words]) + "\n")


def load(path):
    with wave.open(path) as w:
        if w.getsampwidth() != 2 or w.getframerate() != rate or w.getnchannels() not in (1, channels):
            raise ValueError("%s is not a 16-bit WAV at %d Hz with 1 or %d channels" % (path, rate, channels))
        data = w.readframes(w.getnframes())
        if w.getnchannels() == channels:
            return data
        return b"".join(data[i : i + 2] * channels for i in range(0, len(data), 2))


commands = os.open(control, os.O_RDWR | os.O_NONBLOCK)  # for writing too: so it never ends
partial = b""
playing, at, name = b"", 0, ""
if wav:
    playing, name = bytes(int(lead * rate) * frame) + load(wav), wav
pipe = os.open(samples, os.O_WRONLY)
# A full pipe would hide for seconds what is fed now: as small as it can be.
fcntl.fcntl(pipe, 1031, 4096)
due = time.monotonic()
while True:
    try:
        partial += os.read(commands, 4096)
    except BlockingIOError:
        pass
    *lines, partial = partial.split(b"\n")
    for line in lines:
        verb, _, argument = line.decode().partition(" ")
        if verb == "play":
            try:
                playing, at, name = load(argument), 0, argument
                tell("playing", name)
            except (OSError, ValueError, wave.Error, EOFError) as e:
                tell("error", str(e))
        elif verb == "silence":
            playing = b""
            tell("silence")
        elif verb == "starve":
            tell("starving", argument)
            time.sleep(float(argument))
            due = time.monotonic()
            tell("feeding")
        elif verb == "remove":
            subprocess.run(["pactl", "unload-module", module], check=False)
            tell("removed")
        elif verb == "kill":
            os.kill(int(server), signal.SIGKILL)
            tell("killed")
        elif verb:
            tell("error", "unknown command", verb)
    now = playing[at : at + block * frame]
    at += len(now)
    try:
        os.write(pipe, now.ljust(block * frame, b"\0"))
    except BrokenPipeError:
        tell("closed")
        break
    if now and at == len(playing):
        tell("played", name)
    # The server reads only while somebody records. What waited for that is not made up for in a hurry.
    due = max(due + block / rate, time.monotonic() - 0.1)
    time.sleep(max(0.0, due - time.monotonic()))
PY
python3 "$DIR/feed.py" "$DIR/samples" "$VIRTUAL_MIC" "$VIRTUAL_MIC_LOG" "$SERVER" "$MODULE" "$RATE" "$CHANNELS" "$WAV" "$LEAD" &
FEEDER=$!

status=0
"$@" || status=$?
exit "$status"
