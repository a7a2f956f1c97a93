package command

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// completionFlag is what the shells' functions put at the end of a command line, behind
// the flag that is begun or an empty word, to ask for what could stand there.
const completionFlag = "--generate-bash-completion"

// Completing tells whether the command line asks for completions.
func Completing(args []string) bool {
	return len(args) > 0 && args[len(args)-1] == completionFlag
}

// CompletionCommand returns the command that prints a shell's completion function.
func CompletionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion function for a shell",
		ArgsUsage: "bash|zsh|fish",
		Description: "For bash:  source <(PROGRAM completion bash)\n" +
			"for zsh:   source <(PROGRAM completion zsh)\n" +
			"for fish:  PROGRAM completion fish | source",
		Action: func(c *cli.Context) error {
			args, err := Operands(c, 1, 1, "bash, zsh or fish")
			if err != nil {
				return err
			}
			script, ok := completionScript(args[0])
			if !ok {
				return Usagef("there is no completion for %q; write bash, zsh or fish", args[0])
			}
			_, err = io.WriteString(c.App.Writer, strings.ReplaceAll(script, "PROGRAM", c.App.Name))
			return err
		},
		BashComplete: func(c *cli.Context) { fmt.Fprintln(c.App.Writer, "bash\nzsh\nfish") },
	}
}

func completionScript(shell string) (script string, ok bool) {
	switch shell {
	case "bash":
		return `_PROGRAM_complete() {
	local words=() word found cut= rest=${COMP_LINE:0:COMP_POINT} i
	COMPREPLY=()
	# COMP_WORDS is split at colons as well; words that touch belong together.
	for ((i = 0; i < COMP_CWORD; i++)); do
		if [[ $i -gt 0 && $rest != [[:space:]]* ]]; then
			words[-1]+=${COMP_WORDS[i]}
		else
			words+=("${COMP_WORDS[i]}")
			rest=${rest#"${rest%%[![:space:]]*}"}
		fi
		rest=${rest#"${COMP_WORDS[i]}"}
	done
	if [[ $rest == [[:space:]]* ]]; then
		word=${rest#"${rest%%[![:space:]]*}"}
	else
		word=${words[-1]}$rest
		unset 'words[-1]'
	fi
	# Nothing is asked behind a --, for there a command to be run may stand.
	for found in "${words[@]}"; do
		[[ $found == -- ]] && return 0
	done
	# To readline what stands in front of a colon is another word.
	[[ $COMP_WORDBREAKS == *:* ]] && cut=${word%"${word##*:}"}
	[[ $word == -* ]] && words+=("$word") || words+=("")
	while IFS= read -r found; do
		[[ $found == "$word"* ]] && COMPREPLY+=("${found#"$cut"}")
	done < <("${words[@]}" --generate-bash-completion 2>/dev/null)
	return 0
}
complete -o default -F _PROGRAM_complete PROGRAM
`, true
	case "zsh":
		return `_PROGRAM_complete() {
	local -a before found
	before=("${(@Q)words[1,CURRENT-1]}")
	if (( ! $before[(Ie)--] )); then
		[[ $PREFIX == -* ]] && before+=("$PREFIX") || before+=("")
		found=(${(f)"$("${before[@]}" --generate-bash-completion 2>/dev/null)"})
	fi
	(( $#found )) && compadd -a found || _files
}
compdef _PROGRAM_complete PROGRAM
`, true
	case "fish":
		return `function __PROGRAM_complete
	set -l before (commandline -opc)
	set -l word (commandline -ct)
	set -l found
	if not contains -- -- $before
		set -l begun ''
		string match -q -- '-*' "$word"; and set begun $word
		set found ($before "$begun" --generate-bash-completion 2>/dev/null)
	end
	if set -q found[1]
		printf '%s\n' $found
	else
		__fish_complete_path "$word"
	end
end
complete -c PROGRAM -f -a '(__PROGRAM_complete)'
`, true
	}
	return "", false
}

// CompleteWith returns a completion that offers the words of list where an operand
// may stand, a command's flags where one is begun, and nothing for a flag's value.
func CompleteWith(list func() []string) cli.BashCompleteFunc {
	return func(c *cli.Context) {
		// The word to be completed is the last but one, and empty unless it is a flag.
		n := len(os.Args)
		if n > 2 && strings.HasPrefix(os.Args[n-2], "-") {
			cli.DefaultCompleteWithFlags(c.Command)(c)
			return
		}
		if n > 3 && wantsValue(c.Command, os.Args[n-3]) {
			return
		}
		for _, word := range list() {
			fmt.Fprintln(c.App.Writer, word)
		}
	}
}

// wantsValue tells whether arg is a flag of the command whose value comes next.
func wantsValue(command *cli.Command, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	if name == arg {
		return false
	}
	i := slices.IndexFunc(command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
	if i < 0 {
		return false
	}
	flag, ok := command.Flags[i].(cli.DocGenerationFlag)
	_, optional := flag.(*cli.GenericFlag)
	return ok && !optional && flag.TakesValue()
}
