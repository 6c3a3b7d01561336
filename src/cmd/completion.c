/* SPDX-License-Identifier: Apache-2.0
 * completion.c - `dides completion`: what makes a shell complete dides. The scripts know nothing of
 * the commands: each asks `dides complete` (complete.c) and shows the answer in its shell's way. */
#include "cmd/commands.h"
#include "cmd/exit_code.h"
#include "cmd/options.h"

#include <stdio.h>

/* clang-format off */
/* readline splits words at = : and @ too. They are joined as the line has them, and what stands
 * before the last of these signs is taken off again from the answers. */
static const char bash_script[] =
"# Completion of dides for bash 3.2 and later: source <(dides completion bash)\n"
"_dides() {\n"
"    local program=${COMP_WORDS[0]} rest=${COMP_LINE:0:COMP_POINT} words=() word blanks line path\n"
"    local current end sign i\n"
"    rest=${rest#\"$program\"}\n"
"    for ((i = 1; i <= COMP_CWORD; i++)); do\n"
"        blanks=${rest%%[![:blank:]]*}\n"
"        rest=${rest#\"$blanks\"}\n"
"        word=${COMP_WORDS[i]}\n"
"        ((i == COMP_CWORD)) && word=$rest\n"
"        rest=${rest#\"$word\"}\n"
"        if [[ -n $blanks || ${#words[@]} -eq 0 ]]; then\n"
"            words+=(\"$word\")\n"
"        else\n"
"            words[${#words[@]} - 1]+=$word\n"
"        fi\n"
"    done\n"
"    current=${words[${#words[@]} - 1]}\n"
"    end=$current\n"
"    for sign in = : @; do\n"
"        [[ $COMP_WORDBREAKS == *\"$sign\"* ]] && end=${end##*\"$sign\"}\n"
"    done\n"
"    type -P -- \"$program\" >/dev/null 2>&1 || program=dides\n"
"    COMPREPLY=()\n"
"    while IFS= read -r line; do\n"
"        case $line in\n"
"        :files | :folders)\n"
"            compopt -o filenames 2>/dev/null\n"
"            [[ $line == :files ]] && sign=-f || sign=-d\n"
"            while IFS= read -r path; do\n"
"                COMPREPLY+=(\"$path\")\n"
"            done < <(compgen \"$sign\" -- \"$end\")\n"
"            ;;\n"
"        *)\n"
"            line=${line%%$'\\t'*}\n"
"            [[ $line == *= ]] && compopt -o nospace 2>/dev/null\n"
"            COMPREPLY+=(\"${line#\"${current%\"$end\"}\"}\")\n"
"            ;;\n"
"        esac\n"
"    done < <(\"$program\" complete -- \"${words[@]}\" 2>/dev/null)\n"
"}\n"
"complete -F _dides dides\n";

static const char zsh_script[] =
"#compdef dides\n"
"# Completion of dides for zsh: as _dides in a folder of $fpath, or source <(dides completion zsh)\n"
"_dides() {\n"
"    local -a lines whole open\n"
"    local line word\n"
"    lines=(\"${(@f)$(\"${(Q)words[1]}\" complete -- \"${(@Q)words[2,CURRENT-1]}\" \"${(Q)PREFIX}\" 2>/dev/null)}\")\n"
"    for line in \"${(@)lines}\"; do\n"
"        case $line in\n"
"        '') ;;\n"
"        :files | :folders)\n"
"            [[ $PREFIX == --*=* ]] && compset -P 1 '*='\n"
"            if [[ $line == :files ]]; then _files; else _files -/; fi\n"
"            ;;\n"
"        *)\n"
"            word=${line%%$'\\t'*}\n"
"            word=${word//:/\\\\:}\n"
"            [[ $line == *$'\\t'* ]] && word+=:${line#*$'\\t'}\n"
"            if [[ ${line%%$'\\t'*} == *= ]]; then open+=(\"$word\"); else whole+=(\"$word\"); fi\n"
"            ;;\n"
"        esac\n"
"    done\n"
"    (( $#open )) && _describe dides open -S ''\n"
"    (( $#whole )) && _describe dides whole\n"
"    return 0\n"
"}\n"
"if [[ ${funcstack[1]-} == _dides ]]; then _dides \"$@\"; else compdef _dides dides; fi\n";

static const char fish_script[] =
"# Completion of dides for fish: dides completion fish | source\n"
"function __dides_complete\n"
"    set -l words (commandline -opc)\n"
"    set -l program $words[1]\n"
"    set -e words[1]\n"
"    set -l current (commandline -ct)\n"
"    for line in (command $program complete -- $words \"$current\" 2>/dev/null)\n"
"        set -l option (string match -r -- '^--[^=]*=' \"$current\")\n"
"        set -l rest (string replace -r -- '^--[^=]*=' '' \"$current\")\n"
"        switch $line\n"
"            case ':files'\n"
"                for path in (__fish_complete_path \"$rest\")\n"
"                    echo -- \"$option$path\"\n"
"                end\n"
"            case ':folders'\n"
"                for path in (__fish_complete_directories \"$rest\")\n"
"                    echo -- \"$option$path\"\n"
"                end\n"
"            case '*'\n"
"                echo -- $line\n"
"        end\n"
"    end\n"
"end\n"
"complete -c dides -f -a '(__dides_complete)'\n";
/* clang-format on */

static const struct {
    const char *shell, *script;
} scripts[] = { { "bash", bash_script }, { "zsh", zsh_script }, { "fish", fish_script } };

static int run(const struct command *command, int argc, char **argv)
{
    struct operands operands;
    int code;
    char nothing;
    if (!options_parse_few(command, argc, argv, 1, &nothing, &operands, &code))
        return code;
    for (size_t i = 0; operands.count > 0 && i < sizeof scripts / sizeof scripts[0]; i++) {
        if (strcmp(operands.list[0], scripts[i].shell) == 0) {
            fputs(scripts[i].script, stdout);
            return EXIT_DONE;
        }
    }
    return wrong_usage(command, "bash, zsh or fish?");
}

static const struct operand_row operands[] = { { NULL, "bash zsh fish" }, { NULL, NULL } };
static const char *const synopsis[] = { "bash | zsh | fish", NULL };
static const char *const details[] = {
    "Prints a script that makes the shell complete commands, options and their arguments: also the "
    "ids of rollouts, the names of instances, and labels, for which it asks the server that "
    "--server or DIDES_SERVER names. A server that does not answer within a second is done "
    "without, silently.",
    NULL
};
static const struct command_example examples[] = {
    { "source <(dides completion bash)", "in ~/.bashrc" },
    { "source <(dides completion zsh)", "in ~/.zshrc, after compinit" },
    { "dides completion fish >~/.config/fish/completions/dides.fish", "once" },
    { NULL, NULL },
};

const struct command completion_command = {
    .name = "completion",
    .summary = "print what makes a shell complete dides",
    .synopsis = synopsis,
    .details = details,
    .operands = operands,
    .examples = examples,
    .see_also = "help",
    .run = run,
};
