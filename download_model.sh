#!/usr/bin/env bash
# Downloads a Qwen3-ASR model into a directory that `diy-typeless --local-asr` reads, and prints that directory.
#
# Every file arrives as NAME.part and gets its name only when its size and hash are those the source publishes, so a
# file under its own name is a good file. Whatever breaks off is resumed by running the same command again.
#
# Needs bash (3.2 or later, as on macOS), curl, awk and one of sha256sum, shasum, openssl.
# HF_ENDPOINT and MODELSCOPE_ENDPOINT replace the address of a source by that of a mirror.
# DOWNLOAD_RETRY_SECONDS (default 2) is the first pause after a broken connection; it doubles up to five times.
set -euo pipefail

readonly TRIES=5        # attempts in a row that bring nothing new
readonly TRIES_TOTAL=60 # attempts for one file

usage() {
    cat <<TEXT
Usage: ./download_model.sh --model small|large [--dir DIR] [--source huggingface|modelscope]

Downloads a speech model and prints the directory it is in. Without options it asks.
A download that broke off goes on where it stopped; what is complete is not fetched again.

  --model small     Qwen3-ASR 0.6B, 1.9 GB: fast enough for dictation on a laptop
  --model large     Qwen3-ASR 1.7B, 4.7 GB: fewer errors, about three times the work
  --dir DIR         where to put it (default: $(default_dir "qwen3-asr-0.6b"), or -1.7b)
  --source NAME     huggingface (default) or modelscope
  -h, --help        this text

Exit codes: 0 complete and checked, 1 failed, 2 wrong usage.
TEXT
}

say() { printf '%s\n' "$*" >&2; }

# fail SENTENCE [HINT] [EXIT CODE]. Not inside $( ), where it would end the subshell only.
fail() {
    say "error: $1"
    [ -z "${2:-}" ] || say "  hint: $2"
    exit "${3:-1}"
}

misuse() { fail "$1" "./download_model.sh --help" 2; }

# ---- where things go ------------------------------------------------------------------------------------------------

default_dir() {
    if [ "$(uname -s)" = Darwin ]; then
        printf '%s/Library/Application Support/DIYTypeless/models/%s' "${HOME:-}" "$1"
        return
    fi
    # The XDG rules: a relative XDG_DATA_HOME does not count.
    case "${XDG_DATA_HOME:-}" in
        /*) printf '%s/diy-typeless/models/%s' "$XDG_DATA_HOME" "$1" ;;
        *) printf '%s/.local/share/diy-typeless/models/%s' "${HOME:-}" "$1" ;;
    esac
}

human() { # bytes -> "1.88 GB"
    awk -v b="$1" 'BEGIN {
        if (b >= 1e9) printf "%.2f GB", b / 1e9
        else if (b >= 1e6) printf "%.1f MB", b / 1e6
        else if (b >= 1e3) printf "%.0f kB", b / 1e3
        else printf "%d bytes", b
    }'
}

bytes_of() { # size of a file, 0 if there is none
    if [ -f "$1" ]; then
        echo $(($(wc -c <"$1")))
    else
        echo 0
    fi
}

free_bytes() { # on the file system of directory $1; empty if df does not tell
    # The number before the percentage: names of file systems may hold spaces.
    df -Pk "$1" 2>/dev/null | awk 'NR > 1 {
        for (i = 2; i <= NF; i++) if ($i ~ /^[0-9]+%$/) { printf "%.0f", $(i - 1) * 1024; exit }
    }' || true
}

# ---- hashes ---------------------------------------------------------------------------------------------------------

# digest 256|1: hash of standard input in hexadecimal; empty if no tool is there.
digest() {
    if command -v "sha$1sum" >/dev/null; then
        "sha$1sum" | cut -d ' ' -f 1
    elif command -v shasum >/dev/null; then
        shasum -a "$1" | cut -d ' ' -f 1
    elif command -v openssl >/dev/null; then
        openssl dgst "-sha$1" -r | cut -d ' ' -f 1
    else
        cat >/dev/null
    fi
}

# Is file $1 what the source publishes (WANT_*)? If not, WHY says what is wrong.
WHY=
is_published() {
    local size sum
    size=$(bytes_of "$1")
    if [ -n "$WANT_SIZE" ] && [ "$size" != "$WANT_SIZE" ]; then
        WHY="it has $size bytes, published are $WANT_SIZE"
        return 1
    fi
    if [ -n "$WANT_SHA256" ]; then
        sum=$(digest 256 <"$1")
        if [ -n "$sum" ] && [ "$sum" != "$WANT_SHA256" ]; then
            WHY="its SHA-256 is $sum, published is $WANT_SHA256"
            return 1
        fi
    elif [ -n "$WANT_BLOB" ]; then
        # Small files are kept in git: its name for a file is the SHA-1 over a short header and the content.
        sum=$({ printf 'blob %s\0' "$size" && cat "$1"; } | digest 1)
        if [ -n "$sum" ] && [ "$sum" != "$WANT_BLOB" ]; then
            WHY="its git hash is $sum, published is $WANT_BLOB"
            return 1
        fi
    fi
    return 0
}

# ---- what the source publishes --------------------------------------------------------------------------------------

# Reads the JSON file list of either source and prints lines "name <tab> size <tab> SHA-256 <tab> git hash", "-" for
# what is not told. Both are arrays of objects; fields come in any order:
#   huggingface  {"path", "size", "oid": git hash, "lfs": {"oid": SHA-256, "size"}}; with lfs, "oid" is of a pointer file
#   modelscope   {"Path", "Size", "Sha256"} in Data.Files
read_listing() {
    LC_ALL=C awk '
        function emit(    name, size, sha, blob) {
            name = ("path" in rec) ? rec["path"] : rec["Path"]
            size = ("lfs.size" in rec) ? rec["lfs.size"] : ("size" in rec) ? rec["size"] : rec["Size"]
            sha = ("lfs.oid" in rec) ? rec["lfs.oid"] : rec["Sha256"]
            blob = ("lfs.oid" in rec) ? "" : rec["oid"]
            sha = tolower(sha); blob = tolower(blob)
            if (name !~ /^[A-Za-z0-9][A-Za-z0-9._-]*$/) return
            if (size !~ /^[0-9]+$/) size = "-"
            if (length(sha) != 64 || sha !~ /^[0-9a-f]+$/) sha = "-"
            if (length(blob) != 40 || blob !~ /^[0-9a-f]+$/) blob = "-"
            print name "\t" size "\t" sha "\t" blob
        }
        function scalar(v) {
            if (kind[depth] == "{" && want == "key") { key[depth] = v; return }
            if (kind[depth] == "{") rec[prefix[depth] key[depth]] = v
        }
        { text = text $0 "\n" }
        END {
            depth = 0
            while (length(text) > 0) {
                c = substr(text, 1, 1)
                n = 1
                if (match(text, /^[ \t\r\n]+/)) n = RLENGTH
                else if (match(text, /^"([^"\\]|\\.)*"/)) { n = RLENGTH; scalar(substr(text, 2, n - 2)) }
                else if (c == "{" || c == "[") {
                    # An object inside an array is a record; one inside a record adds its name to the keys.
                    if (c == "{") {
                        if (kind[depth] == "{") prefix[depth + 1] = prefix[depth] key[depth] "."
                        else { prefix[depth + 1] = ""; split("", rec) }
                    }
                    depth++; kind[depth] = c; want = "key"
                } else if (c == "}" || c == "]") {
                    if (c == "}" && kind[depth - 1] == "[") { emit(); split("", rec) }
                    depth--
                    if (depth < 0) exit 1
                } else if (c == ":") want = "value"
                else if (c == ",") want = "key"
                else if (match(text, /^[-+.0-9A-Za-z]+/)) { n = RLENGTH; scalar(substr(text, 1, n)) }
                else exit 1
                text = substr(text, n + 1)
            }
            if (depth != 0) exit 1
        }'
}

LISTING= # lines of read_listing; empty: not known
get_listing() {
    local reply code rc try
    for try in 1 2 3; do
        rc=0
        reply=$(curl -sL --connect-timeout 20 --max-time 60 -w '\n%{http_code}' "$LISTING_URL") || rc=$?
        code=${reply##*$'\n'}
        case "$rc:$code" in
            0:200)
                LISTING=$(printf '%s' "${reply%$'\n'*}" | read_listing) || LISTING=
                break
                ;;
            0:5*) ;;
            0:*) break ;;
            5:* | 6:* | 7:* | 28:* | 35:* | 60:*)
                fail "$SOURCE cannot be reached at $BASE: $(curl_reason "$rc")" \
                    "check the network, or try --source $OTHER_SOURCE"
                ;;
        esac
        [ "$try" = 3 ] || sleep "$RETRY_SECONDS"
    done
    [ -n "$LISTING" ] || say "notice: $SOURCE tells no file list (HTTP $code from $LISTING_URL);" \
        "sizes and hashes cannot be checked"
}

# Sets WANT_SIZE, WANT_SHA256 and WANT_BLOB of file $1, empty if not published. Fails if the list does not name it.
look_up() {
    WANT_SIZE='' WANT_SHA256='' WANT_BLOB=''
    [ -n "$LISTING" ] || return 0
    local line
    line=$(printf '%s\n' "$LISTING" | awk -F '\t' -v name="$1" '$1 == name { line = $0 } END { print line }')
    [ -n "$line" ] || return 1
    IFS=$'\t' read -r _ WANT_SIZE WANT_SHA256 WANT_BLOB <<<"$line"
    [ "$WANT_SIZE" != - ] || WANT_SIZE=
    [ "$WANT_SHA256" != - ] || WANT_SHA256=
    [ "$WANT_BLOB" != - ] || WANT_BLOB=
}

check_space() {
    local need=0 free name size
    if [ -n "$LISTING" ]; then
        while IFS=$'\t' read -r name size _; do
            case "$name:$size" in
                *:-) ;;
                *.safetensors:* | *.json:* | *.txt:*)
                    size=$((size - $(bytes_of "$DIR/$name") - $(bytes_of "$DIR/$name.part")))
                    [ "$size" -le 0 ] || need=$((need + size))
                    ;;
            esac
        done <<<"$LISTING"
    else
        need=$ABOUT_BYTES
        for name in "$DIR"/*.safetensors "$DIR"/*.safetensors.part; do
            need=$((need - $(bytes_of "$name")))
        done
    fi
    free=$(free_bytes "$DIR")
    [ -n "$free" ] || return 0
    if [ "$need" -gt 0 ] && [ "$free" -lt "$need" ]; then
        fail "$DIR has $(human "$free") free, the rest of the download needs $(human "$need")" \
            "make room, or choose another place with --dir"
    fi
}

# ---- one file -------------------------------------------------------------------------------------------------------

curl_reason() {
    case "$1" in
        5 | 6) echo "the host name is not known" ;;
        7) echo "no connection" ;;
        18 | 52 | 55 | 56 | 92) echo "the connection broke off" ;;
        23) echo "writing failed; is the disk full?" ;;
        28) echo "no data came for a while" ;;
        35 | 58 | 59 | 60 | 77 | 83 | 91) echo "the secure connection failed" ;;
        *) echo "curl ended with $1" ;;
    esac
}

# What is under the name $1 is not what is published: an incomplete weight file is resumed, other weights are replaced,
# and small files, which might be somebody's own, are moved aside.
set_aside() {
    local size
    size=$(bytes_of "$DIR/$1")
    case "$1" in
        *.safetensors)
            if [ -n "$WANT_SIZE" ] && [ "$size" -lt "$WANT_SIZE" ] && [ "$size" -gt "$(bytes_of "$DIR/$1.part")" ]; then
                say "$1 is incomplete, resuming it"
                mv -f "$DIR/$1" "$DIR/$1.part"
            else
                say "$1 is damaged ($WHY), downloading it again"
                rm -f "$DIR/$1"
            fi
            ;;
        *)
            say "$1 is not the published file ($WHY); it is kept as $1.old"
            mv -f "$DIR/$1" "$DIR/$1.old"
            ;;
    esac
}

# Brings NAME.part to its full length, over as many connections as that takes.
transfer() {
    local name=$1 part=$DIR/$1.part url=$FILES_URL/$1
    local tries=0 total=0 pause=$RETRY_SECONDS have best code rc reason
    local -a options
    best=$(bytes_of "$part")
    while :; do
        have=$(bytes_of "$part")
        if [ -n "$WANT_SIZE" ]; then
            [ "$have" != "$WANT_SIZE" ] || return 0
            if [ "$have" -gt "$WANT_SIZE" ]; then
                say "$name.part is longer than the published file, starting again"
                rm -f "$part"
                have=0 best=0
            fi
        fi
        options=(-fL --connect-timeout 20 --speed-limit 1 --speed-time 60 -o "$part" -w '%{http_code}')
        if [ -t 2 ]; then options+=(--progress-bar); else options+=(-s); fi
        [ "$have" = 0 ] || options+=(-C "$have")
        rc=0
        code=$(curl "${options[@]}" "$url") || rc=$?
        total=$((total + 1))

        case "$rc:$code" in
            0:200 | 0:206)
                [ -f "$part" ] || : >"$part"
                if [ -z "$WANT_SIZE" ] || [ "$(bytes_of "$part")" = "$WANT_SIZE" ]; then return 0; fi
                reason="the server sent $(bytes_of "$part") of $WANT_SIZE bytes"
                ;;
            *:416)
                # Nothing there to append: the part does not fit what the server has.
                [ "$have" != 0 ] || fail "$url answers 416 to a request for the whole file"
                say "$name.part does not fit the file on the server (HTTP 416), starting again"
                rm -f "$part"
                best=0
                continue
                ;;
            33:*)
                say "$name: the server cannot resume, starting again"
                rm -f "$part"
                continue
                ;;
            *:404 | *:410) fail "$url: there is no such file (HTTP $code)" "try --source $OTHER_SOURCE" ;;
            *:401 | *:403 | *:451) fail "$url: access is refused (HTTP $code)" "try --source $OTHER_SOURCE" ;;
            23:*) fail "$part: $(curl_reason 23)" "the same command goes on from here" ;;
            22:*) reason="the server answers HTTP $code" ;;
            *) reason=$(curl_reason "$rc") ;;
        esac

        have=$(bytes_of "$part")
        if [ "$have" -gt "$best" ]; then
            best=$have tries=0 pause=$RETRY_SECONDS
        fi
        tries=$((tries + 1))
        if [ "$tries" -ge "$TRIES" ] || [ "$total" -ge "$TRIES_TOTAL" ]; then
            fail "$url: $reason; gave up after $total attempts with $have${WANT_SIZE:+ of $WANT_SIZE} bytes" \
                "the same command goes on from here"
        fi
        say "$name: $reason, trying again in $pause s"
        sleep "$pause"
        # Pauses may be fractions of a second, which bash cannot double.
        pause=$(awk -v p="$pause" -v first="$RETRY_SECONDS" 'BEGIN { print (p * 2 > first * 16 ? first * 16 : p * 2) }')
    done
}

fetch() {
    local name=$1 part=$DIR/$1.part old
    look_up "$name" || fail "$SOURCE lists no file $name in $REPO" "try --source $OTHER_SOURCE"
    if [ -f "$DIR/$name" ]; then
        if is_published "$DIR/$name"; then
            if [ -n "$LISTING" ]; then say "$name: complete"; else say "$name: there, not checked"; fi
            rm -f "$part"
            return
        fi
        set_aside "$name"
    fi
    old=$(bytes_of "$part")
    say "$name: downloading${WANT_SIZE:+ $(human "$WANT_SIZE")}$([ "$old" = 0 ] || echo ", $(human "$old") are there")"
    transfer "$name"
    if ! is_published "$part"; then
        rm -f "$part"
        # Bytes of an earlier run may have been of another version of the file; those of this run may not.
        if [ "$old" != 0 ]; then
            say "$name: what was there before does not belong to this file ($WHY), starting again"
            transfer "$name"
        fi
        if [ ! -f "$part" ] || ! is_published "$part"; then
            rm -f "$part"
            fail "$name: the download is damaged and was removed: $WHY" \
                "run the same command again; if it happens twice, try --source $OTHER_SOURCE"
        fi
    fi
    mv -f "$part" "$DIR/$name"
}

# ---- the whole model ------------------------------------------------------------------------------------------------

shards() { # file names in the index, each once
    grep -o '"[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors"' "$DIR/model.safetensors.index.json" | tr -d '"' | sort -u
}

download() {
    local name sharded names
    get_listing
    check_space
    for name in config.json generation_config.json preprocessor_config.json tokenizer_config.json vocab.json \
        merges.txt chat_template.json; do
        case "$name" in
            generation_config.json | chat_template.json)
                # Not needed to run the model; kept with it for other programs.
                look_up "$name" || continue
                ;;
        esac
        fetch "$name"
    done
    sharded=$SHARDED
    if [ -n "$LISTING" ]; then
        if look_up model.safetensors.index.json; then sharded=1; else sharded=0; fi
    fi
    if [ "$sharded" = 0 ]; then
        fetch model.safetensors
        return
    fi
    fetch model.safetensors.index.json
    names=$(shards) || fail "$DIR/model.safetensors.index.json names no weight file"
    for name in $names; do
        fetch "$name"
    done
}

choose() {
    local answer
    say "Which model?"
    say "  1  small   Qwen3-ASR 0.6B, 1.9 GB: fast enough for dictation on a laptop"
    say "  2  large   Qwen3-ASR 1.7B, 4.7 GB: fewer errors, about three times the work"
    while :; do
        printf 'Model [1]: ' >&2
        read -r answer || fail "no answer" "" 2
        case "$answer" in
            '' | 1 | small) MODEL=small ;;
            2 | large) MODEL=large ;;
            *) say "Please answer 1 or 2."; continue ;;
        esac
        break
    done
    set_model
    if [ -z "$DIR" ]; then
        DIR=$(default_dir "$NAME")
        printf 'Directory [%s]: ' "$DIR" >&2
        read -r answer || fail "no answer" "" 2
        # The shell expands ~ on a command line, not in an answer.
        # shellcheck disable=SC2088
        case "$answer" in
            '') ;;
            '~') DIR=$HOME ;;
            '~/'*) DIR=$HOME/${answer#??} ;;
            *) DIR=$answer ;;
        esac
    fi
}

set_model() {
    case "$MODEL" in
        small) REPO=Qwen/Qwen3-ASR-0.6B NAME=qwen3-asr-0.6b SHARDED=0 ABOUT_BYTES=1890000000 ;;
        large) REPO=Qwen/Qwen3-ASR-1.7B NAME=qwen3-asr-1.7b SHARDED=1 ABOUT_BYTES=4720000000 ;;
        *) misuse "--model is small or large, not \`$MODEL\`" ;;
    esac
}

MODEL='' DIR='' SOURCE=huggingface
while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help)
            usage
            exit 0
            ;;
        --model | --dir | --source)
            { [ $# -ge 2 ] && [ -n "$2" ]; } || misuse "$1 needs a value"
            option=$1 value=$2
            shift
            ;;
        --model=?* | --dir=?* | --source=?*) option=${1%%=*} value=${1#*=} ;;
        *) misuse "unknown argument \`$1\`" ;;
    esac
    case "$option" in
        --model) MODEL=$value ;;
        --dir) DIR=$value ;;
        --source) SOURCE=$value ;;
    esac
    shift
done

case "$SOURCE" in
    huggingface) OTHER_SOURCE=modelscope ;;
    modelscope) OTHER_SOURCE=huggingface ;;
    *) misuse "--source is huggingface or modelscope, not \`$SOURCE\`" ;;
esac
if [ -n "$MODEL" ]; then
    set_model
elif [ -t 0 ] && [ -t 2 ]; then
    choose
else
    misuse "--model small or --model large is needed (without a terminal there is nobody to ask)"
fi
command -v curl >/dev/null || fail "curl is not installed" "install it with your package manager, then run this again"
if [ -z "$DIR" ]; then
    [ -n "${HOME:-}" ] || misuse "HOME is not set; say where with --dir"
    DIR=$(default_dir "$NAME")
fi
mkdir -p -- "$DIR" 2>/dev/null || fail "$DIR cannot be created"
DIR=$(CDPATH='' cd -- "$DIR" && pwd) || fail "$DIR cannot be entered"
[ -w "$DIR" ] || fail "$DIR cannot be written to"

if [ "$SOURCE" = huggingface ]; then
    BASE=${HF_ENDPOINT:-https://huggingface.co}
    BASE=${BASE%/}
    FILES_URL=$BASE/$REPO/resolve/main
    LISTING_URL="$BASE/api/models/$REPO/tree/main?recursive=true"
else
    BASE=${MODELSCOPE_ENDPOINT:-https://www.modelscope.cn}
    BASE=${BASE%/}
    FILES_URL=$BASE/models/$REPO/resolve/master
    LISTING_URL="$BASE/api/v1/models/$REPO/repo/files?Revision=master&Recursive=true"
fi
RETRY_SECONDS=${DOWNLOAD_RETRY_SECONDS:-2}
trap 'say ""; fail "interrupted" "the same command goes on from here" 130' INT TERM

say "Qwen3-ASR $MODEL from $SOURCE into $DIR"
download
say "The model is complete. Try it:  diy-typeless transcribe --local-asr \"$DIR\" FILE"
printf '%s\n' "$DIR"
