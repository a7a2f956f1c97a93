package command

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
)

// completionFlag is what the shells' functions put at the end of a command line
// to ask for the words that could stand there.
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
	local before=("${COMP_WORDS[@]:0:COMP_CWORD}") word=${COMP_WORDS[COMP_CWORD]}
	# Colons separate words for readline; what is in front of one stays typed.
	if declare -F _get_comp_words_by_ref >/dev/null; then
		_get_comp_words_by_ref -n : -w before -c word
		before=("${before[@]:0:${#before[@]}-1}")
	fi
	[[ $word == -* ]] && before+=("$word")
	COMPREPLY=($(compgen -W "$("${before[@]}" --generate-bash-completion 2>/dev/null)" -- "$word"))
	declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$word"
	return 0
}
complete -o default -F _PROGRAM_complete PROGRAM
`, true
	case "zsh":
		return `_PROGRAM_complete() {
	local -a before found
	before=("${(@)words[1,CURRENT-1]}")
	[[ $words[CURRENT] == -* ]] && before+=("$words[CURRENT]")
	found=("${(@f)$("${before[@]}" --generate-bash-completion 2>/dev/null)}")
	[[ -n $found ]] && compadd -a found || _files
}
compdef _PROGRAM_complete PROGRAM
`, true
	case "fish":
		return `function __PROGRAM_complete
	set -l before (commandline -opc)
	set -l word (commandline -ct)
	string match -q -- '-*' $word; and set -a before $word
	$before --generate-bash-completion 2>/dev/null
end
complete -c PROGRAM -a '(__PROGRAM_complete)'
`, true
	}
	return "", false
}

// CompleteWith returns a completion that offers the words of list where no flag is
// begun, and a command's flags where one is.
func CompleteWith(list func() []string) cli.BashCompleteFunc {
	return func(c *cli.Context) {
		if n := len(os.Args); n > 2 && strings.HasPrefix(os.Args[n-2], "-") {
			cli.DefaultCompleteWithFlags(c.Command)(c)
			return
		}
		for _, word := range list() {
			fmt.Fprintln(c.App.Writer, word)
		}
	}
}
