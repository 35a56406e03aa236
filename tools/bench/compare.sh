#!/usr/bin/env bash
# compare.sh LIMBECK MDISTILLER [PYTHON]: training steps of limbeck and PyTorch
# beside each other in one run, for the three CIFAR pairs, f32 and bf16, with
# and without a teacher. LIMBECK is the program, MDISTILLER a checkout of that
# project (its network definitions), PYTHON an interpreter with torch. Absolute
# times belong to the machine; only ratios within one run mean anything.
set -u
limbeck=$1 mdistiller=$2 python=${3:-/usr/bin/python3}
steps=${STEPS:-20} threads=${THREADS:-2}
pairs=${PAIRS:-"resnet56:resnet20 resnet32x4:resnet8x4 wrn_40_2:wrn_16_2"}
here=$(dirname "${BASH_SOURCE[0]}")

rate()
{
    "$python" -c 'import json, sys
print("%.0f" % json.loads(sys.stdin.readlines()[-1])["images_per_second"])'
}
field()
{
    "$python" -c 'import json, sys
print("%.3f" % json.loads(sys.stdin.read())[sys.argv[1]])' "$1"
}
torch() # STUDENT TEACHER PRECISION LAYOUT
{
    "$python" "$here/torch_step.py" --mdistiller "$mdistiller" --student "$1" \
        ${2:+--teacher "$2"} --precision "$3" --layout "$4" --steps "$steps" \
        --threads "$threads" 2>/dev/null | rate
}
printf '%-26s %-5s %9s %9s %9s %9s %7s %7s\n' step prec torch torch-cl limbeck limit ratio gain
for pair in $pairs; do
    teacher=${pair%%:*} student=${pair##*:}
    for precision in f32 bf16; do
        for t in "$teacher" ""; do
            name=${t:+$t->}$student
            a=$(torch "$student" "$t" $precision nchw)
            b=$(torch "$student" "$t" $precision nhwc)
            out=$("$limbeck" bench step --student "$student" \
                ${t:+--teacher "$t" --method kd} --precision $precision \
                --steps "$steps" --threads "$threads" --json)
            rate=$(printf '%s' "$out" | field images_per_second)
            limit=$(printf '%s' "$out" | field limit_images_per_second)
            ratio=$(printf '%s' "$out" | field limit_ratio)
            best=$((a > b ? a : b))
            gain=$(awk "BEGIN { printf \"%.2f\", $rate / $best }")
            printf '%-26s %-5s %9s %9s %9.0f %9.0f %7s %7s\n' "$name" \
                $precision "$a" "$b" "$rate" "$limit" "$ratio" "$gain"
        done
    done
done
