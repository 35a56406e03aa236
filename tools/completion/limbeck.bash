# limbeck.bash: completion for bash. Verbs and options come from the program's
# own help, so that they cannot differ from it.

_limbeck_words() # ARGUMENTS...: the first word of each line that is printed
{
    command limbeck "$@" 2>/dev/null | sed -nE '/^name /d
        s/^([A-Za-z0-9_.]+).*/\1/p'
}

_limbeck_verbs()
{
    command limbeck help 2>/dev/null | sed -nE 's/^  ([a-z]+)  .*/\1/p'
}

_limbeck()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local verb=${COMP_WORDS[1]} words=""
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=$(_limbeck_verbs)
    else
        case "$verb $prev" in
        *" --model" | *" --student" | *" --teacher" | "list taps")
            [ "$verb" = loss ] || words=$(_limbeck_words list models)
            ;;
        *" --method") words=$(_limbeck_words list methods) ;;
        *" --precision") words="f32 bf16 auto" ;;
        *" --data") words=$(_limbeck_words list datasets | sed 's/$/:/') ;;
        "list list") words="models methods datasets ops taps" ;;
        "data data") words="get" ;;
        "bench bench") words="step" ;;
        "config config") words="show" ;;
        "help help")
            words="$(_limbeck_verbs) $(_limbeck_words list methods) config"
            ;;
        esac
        if [ -z "$words" ] && [[ $cur == -* ]]; then
            words=$(command limbeck help "$verb" 2>/dev/null |
                grep -oE -- '--[a-z][A-Za-z0-9-]*' | sort -u)
        fi
    fi
    local IFS=$' \t\n'
    # shellcheck disable=SC2207 # words hold no blanks
    [ -z "$words" ] || COMPREPLY=($(compgen -W "$words" -- "$cur"))
    [ ${#COMPREPLY[@]} -gt 0 ] || compopt -o default 2>/dev/null
    [[ ${COMPREPLY[0]:-} != *: ]] || compopt -o nospace 2>/dev/null
}
complete -F _limbeck limbeck
