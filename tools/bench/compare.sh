#!/usr/bin/env bash
# compare.sh LIMBECK MDISTILLER [PYTHON[+compile]...]: training steps of limbeck
# and PyTorch beside each other in one run, for the three CIFAR pairs, f32 and
# bf16, with and without a teacher. LIMBECK is the program, MDISTILLER a
# checkout of that project (its network definitions), each PYTHON an interpreter
# with torch, run eagerly in both layouts, and with +compile behind it through
# torch.compile too (to keep only some layouts or forms: FORMS="nchw nhwc").
# Absolute times belong to the machine; only ratios within one run mean
# anything. Rows are tab-separated; `gain` is over the fastest torch.
set -u
limbeck=$1 mdistiller=$2
shift 2
[ $# -gt 0 ] || set -- /usr/bin/python3
steps=${STEPS:-20} threads=${THREADS:-2}
pairs=${PAIRS:-"resnet56:resnet20 resnet32x4:resnet8x4 wrn_40_2:wrn_16_2"}
precisions=${PRECISIONS:-"f32 bf16"} forms=${FORMS:-"nchw nhwc"}
here=$(dirname "${BASH_SOURCE[0]}")

field() # NAME FORMAT: of the last line, a JSON object; - if there is none
{
    python3 -c 'import json, sys
try:
    print(sys.argv[2] % json.loads(sys.stdin.readlines()[-1])[sys.argv[1]])
except (IndexError, ValueError):
    print("-")' "$1" "$2"
}
torch() # PYTHON STUDENT TEACHER PRECISION LAYOUT [--compile]
{
    "$1" "$here/torch_step.py" --mdistiller "$mdistiller" --student "$2" \
        ${3:+--teacher "$3"} --precision "$4" --layout "$5" --steps "$steps" \
        --threads "$threads" ${6:-} 2>/dev/null | field images_per_second %.0f
}

header=step$'\t'prec
for spec; do
    python=${spec%+compile}
    version=$("$python" -c 'import torch; print(torch.__version__.split("+")[0])') ||
        exit 1
    for form in $forms; do header+=$'\t'"$version $form"; done
    [ "$python" = "$spec" ] ||
        for form in $forms; do header+=$'\t'"$version compiled $form"; done
done
printf '%s\tlimbeck\tlimit\tratio\tgain\n' "$header"
for pair in $pairs; do
    teacher=${pair%%:*} student=${pair##*:}
    for precision in $precisions; do
        for t in "$teacher" ""; do
            row=${t:+$t->}$student$'\t'$precision
            best=0
            for spec; do
                python=${spec%+compile}
                rates=()
                for form in $forms; do
                    rates+=("$(torch "$python" "$student" "$t" "$precision" "$form")")
                done
                [ "$python" = "$spec" ] || for form in $forms; do
                    rates+=("$(torch "$python" "$student" "$t" "$precision" "$form" --compile)")
                done
                for rate in "${rates[@]}"; do
                    row+=$'\t'$rate
                    [ "$rate" = - ] || best=$((rate > best ? rate : best))
                done
            done
            out=$("$limbeck" bench step --student "$student" \
                ${t:+--teacher "$t" --method kd} --precision "$precision" \
                --steps "$steps" --threads "$threads" --json)
            rate=$(printf '%s\n' "$out" | field images_per_second %.0f)
            limit=$(printf '%s\n' "$out" | field limit_images_per_second %.0f)
            ratio=$(printf '%s\n' "$out" | field limit_ratio %.3f)
            gain=$(awk "BEGIN { printf \"%.2f\", $rate / $best }")
            printf '%s\t%s\t%s\t%s\t%s\n' "$row" "$rate" "$limit" "$ratio" "$gain"
        done
    done
done
