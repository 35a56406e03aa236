# count_tests.awk: counts test cases in the log that ctest leaves
# (Testing/Temporary/LastTest.log) when cmocka writes TAP. Used by ./test.
#   awk -v ctest_status=S -v require_data=0|1 -f count_tests.awk LastTest.log
# A case that its plan (1..N) announces and that never reports has failed, and
# so has an executable that failed though all its cases passed (a leak). A
# test that is no cmocka program counts as one case; it is skipped if it
# prints a line "skipped: why" and ends well. With require_data, a case that
# is skipped for want of LIMBECK_DATA has failed. Any awk will do.

function fault(what)
{
    failed++
    faults[++n_faults] = what
}

function pass_over(what)
{
    if (require_data == 1 && why ~ /LIMBECK_DATA|real data/)
        fault(what " (skipped without its data: " why ")")
    else {
        skipped++
        skips[++n_skips] = what (why == "" ? "" : ": " why)
    }
    why = ""
}

function close_plan()
{
    if (plan > seen)
        fault(name ": " (plan - seen) " of " plan " cases did not report")
    failed += plan > seen ? plan - seen - 1 : 0
    plan = seen = 0
}

/^[0-9]+\/[0-9]+ Testing: / && !inside {
    name = $0
    sub(/^[0-9]+\/[0-9]+ Testing: /, "", name)
    plan = seen = plans = 0
    why = said = ""
    failed_before = failed
    next
}
/^Command: ""$/ && !inside { no_command = 1 }
/^Output:$/ && !inside { inside = 1; next }
/^<end of output>$/ { if (inside) close_plan(); inside = 0; next }

inside && /^skipped: / {
    why = said = substr($0, 10)
    next
}
inside && /^1\.\.[0-9]+$/ {
    close_plan()
    plan = substr($0, 4) + 0
    plans++
    next
}
inside && /^(not )?ok [0-9]+ / {
    number = $1 == "ok" ? $2 : $3
    if (number != seen + 1 || seen >= plan)
        next
    seen++
    what = $0
    sub(/^(not )?ok [0-9]+ (- )?/, "", what)
    if (what ~ /^# *SKIP/) {
        sub(/^# *SKIP */, "", what)
        pass_over(name "/" what)
    } else if ($1 == "ok")
        passed++
    else
        fault(name "/" what)
    why = ""
    next
}

!inside && /^Test Passed\.$/ {
    if (no_command)
        fault(name " (its program is not there)")
    else if (plans == 0 && said != "") {
        why = said
        pass_over(name)
    } else if (plans == 0)
        passed++
    no_command = 0
}
!inside && /^Test Failed\.$/ {
    if (failed == failed_before)
        fault(name " (the program itself failed)")
}
/^End testing:/ { complete = 1 }

END {
    if (inside || !complete)
        fault(name " (the run was cut off)")
    if (ctest_status + 0 != 0 && failed == 0)
        fault("ctest ended with status " ctest_status)
    if (passed + failed + skipped == 0)
        fault("there is no test")
    if (n_skips)
        print "\nskipped:"
    for (i = 1; i <= n_skips; i++)
        print "  " skips[i]
    if (n_faults)
        print "\nfailed:"
    for (i = 1; i <= n_faults; i++)
        print "  " faults[i]
    printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
    exit failed > 0
}
