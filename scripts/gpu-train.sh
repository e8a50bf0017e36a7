#!/usr/bin/env bash
# Trains on a machine that has nothing but this folder (scripts/pack-gpu packs it, as train.sh), bash and tar:
#   ./train.sh OUT [--minutes N] [--total N] [--runs DIR] [--device D] [--stages a,b,..] [--batch-times N]
#                  [--part-size SIZE] [--warm]
# Stages take their turns: vae, denoiser, in the proportions of models/TRAINING.md; parser and plate where asked for (plate
# where photographs were packed).
#   OUT            what to take home: the model, its curves and samples, the log; written anew by each call
#   --minutes      how long this call may take; what is unfinished goes on with the next call          (9)
#   --total        minutes of training in all, over all calls; the learning rates fall towards its end (25)
#   --runs         where checkpoints live between calls                                    (runs, beside this)
#   --device       cuda or cpu                                                                       (cuda)
#   --stages       these                                                                  (vae,denoiser)
#   --batch-times  batches of this many times the recipe's size                                         (1)
#   --part-size    cut the model into files of at most this size, as `split -b` has it             (uncut)
#   --warm         start from the packed weights (packed with --warm) instead of from scratch
# At home:  cat OUT/model.tar* | tar -x -C models/mini
set -euo pipefail
started=$SECONDS
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

die() {
    echo "error: $*" >&2
    exit 1
}

out="" minutes=9 total=25 runs="$here/runs" device=cuda stages=vae,denoiser times=1 part="" warm=()
while [ $# -gt 0 ]; do
    case "$1" in
        --warm) warm=(--warm) ;;
        --*)
            [ $# -gt 1 ] || die "$1 needs a value"
            case "$1" in
                --minutes) minutes="$2" ;;
                --total) total="$2" ;;
                --runs) runs="$2" ;;
                --device) device="$2" ;;
                --stages) stages="$2" ;;
                --batch-times) times="$2" ;;
                --part-size) part="$2" ;;
                *) die "no option $1: see the head of $0" ;;
            esac
            shift
            ;;
        *) [ -z "$out" ] && out="$1" || die "one OUT only, not $out and $1" ;;
    esac
    shift
done
[ -n "$out" ] || die "name a folder for the results: $0 OUT"
for number in "$minutes" "$total" "$times"; do
    [[ "$number" =~ ^[1-9][0-9]*$ ]] || die "$number is not a whole number from 1 on"
done
mkdir -p "$out" "$runs"
out="$(cd "$out" && pwd)"
runs="$(cd "$runs" && pwd)"

# The model that is being trained lives with its checkpoints; the packed one stays as it was.
[ -e "$runs/model/model_index.json" ] || {
    mkdir -p "$runs/model"
    cp -R "$here/model/." "$runs/model/"
    # What the model shares with others lies beside it.
    cp -R "$here/mobile_sam" "$runs/"
}

# Kernels are compiled where they run, by libnvrtc and with CUDA's headers: those of a CUDA toolkit, else those that
# Python packages (PyTorch's, for one) brought along.
find_cuda() {
    local place site lib
    local places=("${CUDA_PATH-}" /usr/local/cuda /opt/cuda)
    if command -v python3 >/dev/null; then
        while read -r site; do
            places+=("$site"/nvidia/cu[0-9]* "$site/nvidia/cuda_runtime")
            for lib in "$site"/nvidia/*/lib; do
                [ ! -d "$lib" ] || LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$lib"
            done
        done < <(python3 -c 'import site, sys; print("\n".join(site.getsitepackages() + sys.path[1:]))' 2>/dev/null | sort -u)
    fi
    for place in "${places[@]}"; do
        if [ -n "$place" ] && [ -e "$place/include/cuda_runtime.h" ]; then
            export CUDA_PATH="$place"
            LD_LIBRARY_PATH="$place/lib64:$place/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
            break
        fi
    done
    export LD_LIBRARY_PATH="${LD_LIBRARY_PATH-}"
}
[ "$device" != cuda ] || find_cuda

# LPIPS is looked for here. Compiled kernels are kept: a first step takes half a minute without them.
cd "$here"
printf '[compilation]\ncache = { file = "%s" }\n' "$runs/kernels" >cubecl.toml
photos="$(find photos -mindepth 1 -maxdepth 1 2>/dev/null | sort | paste -sd, -)"

# What the recipe gives each stage: share of the time, batch, and the rest.
recipe() {
    case "$1" in
        vae) echo 60 4 --learning-rate 1.5e-3 --ema 0.998 ;;
        denoiser) echo 90 8 --learning-rate 4e-4 ;;
        parser) echo 40 8 --learning-rate 1.5e-3 --ema 0.998 ;;
        plate) echo 60 48 --learning-rate 1e-3 --ema 0.999 ;;
        *) die "no stage $1: use vae, denoiser, parser, plate" ;;
    esac
}
# Seconds that a stage has trained so far.
trained() {
    local state="$runs/$1/checkpoint/state.json" seconds=""
    [ ! -e "$state" ] || seconds="$(head -c 200 "$state" | sed -n 's/^{"step":[0-9]*,"seconds":\([0-9]*\).*/\1/p')"
    echo "${seconds:-0}"
}
collect() {
    rm -f "$out"/model.tar* "$out/runs.tar"
    if [ -n "$part" ]; then
        tar -C "$runs/model" -cf - . | split -b "$part" - "$out/model.tar."
    else
        tar -C "$runs/model" -cf "$out/model.tar" .
    fi
    # Curves, and the last picture of samples of each stage; checkpoints are ten times the model and stay.
    local files=() stage
    for stage in vae denoiser parser plate; do
        [ -d "$runs/$stage" ] || continue
        while read -r file; do files+=("${file#"$runs"/}"); done < <(
            ls "$runs/$stage"/loss.* 2>/dev/null
            ls "$runs/$stage"/sample-*.png 2>/dev/null | tail -n 1
        )
    done
    [ ${#files[@]} = 0 ] || tar -C "$runs" -cf "$out/runs.tar" "${files[@]}"
    cp "$runs/log.txt" "$out/log.txt"
}

touch "$runs/log.txt"
# A plate's network is a model of its own.
[ -z "$photos" ] || [ -d "$runs/model/plate" ] || { mkdir -p "$runs/model/plate" && cp -R "$here/plate/." "$runs/model/plate/" 2>/dev/null || true; }
IFS=, read -ra wanted <<<"$stages"
shares=0
for stage in "${wanted[@]}"; do
    read -r share _ <<<"$(recipe "$stage")"
    shares=$((shares + share))
done
unfinished=""
for stage in "${wanted[@]}"; do
    read -r share batch rest <<<"$(recipe "$stage")"
    read -ra rest <<<"$rest"
    goal=$((total * 60 * share / shares))
    [ "$(trained "$stage")" -lt $((goal - 1)) ] || continue
    # Loading, the last sample and the packing need time too.
    left=$((minutes * 60 - (SECONDS - started) - 15))
    if [ "$left" -lt 15 ]; then
        unfinished="$stage"
        break
    fi
    in_minutes() { awk "BEGIN { printf \"%.3f\", $1 / 60 }"; }
    model="$runs/model" more=()
    if [ "$stage" = plate ]; then
        [ -n "$photos" ] || die "no photographs for plates were packed: scripts/pack-gpu --photos"
        model="$runs/model/plate" more=(--photos "$photos")
    fi
    echo "== $stage: $(trained "$stage") of $goal s trained, $left s left in this call" | tee -a "$runs/log.txt"
    status=0
    "$here/dragentity-lab" train "$stage" --device "$device" --model "$model" --data "$here/clips.pack" \
        --run "$runs/$stage" --minutes "$(in_minutes "$goal")" --session-minutes "$(in_minutes "$left")" \
        --checkpoint-minutes 2 --batch $((batch * times)) "${rest[@]}" "${more[@]}" "${warm[@]}" 2>&1 | tee -a "$runs/log.txt" || status=$?
    collect
    [ "$status" = 0 ] || die "training of $stage failed, see above; $out has what there is"
    if [ "$(trained "$stage")" -lt $((goal - 1)) ]; then
        unfinished="$stage"
        break
    fi
done
collect
if [ -n "$unfinished" ]; then
    echo "not finished ($unfinished: $(trained "$unfinished") s trained): call again to go on"
else
    echo "all stages are trained"
fi
du -h "$out"/*
