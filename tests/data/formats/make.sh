#!/bin/sh
# Makes the files in this directory again, from the first seconds of one of the speech files. Needs ffmpeg with libmp3lame and
# libvorbis. Other versions of ffmpeg make other bytes; the tests compare sound, not bytes.
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

convert() {
    ffmpeg -nostdin -loglevel error -y -t 2.5 -i ../speech/short_seen_001.flac -map_metadata -1 -fflags +bitexact "$@"
}

convert -ac 2 -ar 44100 -c:a aac -b:a 48k stereo_44100.m4a          # the index is at the end of the file
convert -ar 22050 -c:a libmp3lame -q:a 6 vbr_22050.mp3
convert -ar 48000 -c:a libvorbis -q:a 1 vorbis_48000.ogg
convert -c:a flac -sample_fmt s32 -bits_per_raw_sample 24 depth_24.flac
convert -ar 16000 -c:a aac -b:a 24k raw_16000.aac                   # no container
convert -c:a libopus -b:a 16k -t 1 opus.ogg                         # a codec that is not decoded
convert -ar 16000 -c:a libvorbis -q:a 0 -t 1 "$tmp/first.ogg"
convert -ar 44100 -ac 2 -c:a libvorbis -q:a 0 -t 1 "$tmp/second.ogg"
cat "$tmp/first.ogg" "$tmp/second.ogg" >chained.ogg                 # two streams in one file, rates and channels differ
