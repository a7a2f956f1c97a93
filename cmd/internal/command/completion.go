package command

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// completionFlag ends a command line with which a shell's function asks for completions. It
// comes after the flag being typed, or after an empty word.
const completionFlag = "--generate-bash-completion"

// completionWord is the environment variable that holds the word being typed.
const completionWord = "GIPC_COMPLETION_WORD"

// Completing reports whether the command line asks for completions.
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
	# To readline what stands in front of a colon or an equals sign is another word.
	[[ $COMP_WORDBREAKS == *:* ]] && cut=${word%"${word##*:}"}
	[[ $COMP_WORDBREAKS == *=* && -z $cut ]] && cut=${word%"${word##*=}"}
	case $word in
	--) words+=(-) ;; # to the program -- is the end of the flags
	-*) words+=("$word") ;;
	*) words+=("") ;;
	esac
	while IFS= read -r found; do
		[[ $found == "$word"* ]] && COMPREPLY+=("${found#"$cut"}")
	done < <(GIPC_COMPLETION_WORD=$word "${words[@]}" --generate-bash-completion 2>/dev/null)
	return 0
}
complete -o default -F _PROGRAM_complete PROGRAM
`, true
	case "zsh":
		// An installed file is the body of the function _PROGRAM, which zsh calls.
		return `#compdef PROGRAM
_PROGRAM_complete() {
	local -a before found
	before=("${(@Q)words[1,CURRENT-1]}")
	if (( ! $before[(Ie)--] )); then
		case $PREFIX in
		--) before+=(-) ;;
		-*) before+=("$PREFIX") ;;
		*) before+=("") ;;
		esac
		found=(${(f)"$(GIPC_COMPLETION_WORD=$PREFIX "${before[@]}" --generate-bash-completion 2>/dev/null)"})
	fi
	(( $#found )) && compadd -a found || _files
}
compdef _PROGRAM_complete PROGRAM
if [[ $funcstack[1] == _PROGRAM ]]; then
	_PROGRAM_complete
fi
`, true
	case "fish":
		return `function __PROGRAM_complete
	set -l before (commandline -opc)
	set -l word (commandline -ct)
	set -l found
	if not contains -- -- $before
		set -l begun ''
		string match -q -- '-*' "$word"; and set begun $word
		test "$word" = --; and set begun -
		set found (env GIPC_COMPLETION_WORD="$word" $before "$begun" --generate-bash-completion 2>/dev/null)
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

// A ChoiceFlag is a flag whose value is one of several words, which completion offers.
type ChoiceFlag struct {
	*cli.StringFlag
	Words func() []string
	// List is set if the value is a comma-separated list of words, each with an
	// optional + or - before it.
	List bool
}

// completing returns the values that can complete begun.
func (f *ChoiceFlag) completing(begun string) []string {
	words := f.Words()
	if f.List {
		before := begun[:strings.LastIndexAny(begun, ",+-")+1]
		for i := range words {
			words[i] = before + words[i]
		}
	}
	return words
}

// CompleteWith returns a completion that offers list for an operand, and the command's
// flags for a word that begins with a dash.
func CompleteWith(list func() []string) cli.BashCompleteFunc {
	return func(c *cli.Context) {
		// The word to complete is the last but one; it is empty unless it is a flag.
		if n := len(os.Args); n > 2 && strings.HasPrefix(os.Args[n-2], "-") {
			cli.DefaultCompleteWithFlags(c.Command)(c)
			return
		}
		printWords(c, "", list())
	}
}

func printWords(c *cli.Context, before string, words []string) {
	for _, word := range words {
		fmt.Fprintln(c.App.Writer, before+word)
	}
}

// completeValues adds the values of flags to a completion. After a flag that needs a
// value it offers nothing else.
func completeValues(other cli.BashCompleteFunc) cli.BashCompleteFunc {
	return func(c *cli.Context) {
		n := len(os.Args)
		if n > 3 {
			if flag := flagWithValue(c.Command, os.Args[n-3]); flag != nil {
				printValues(c, flag, "", os.Getenv(completionWord))
				return
			}
		}
		if n > 2 && strings.HasPrefix(os.Args[n-2], "--") {
			name, begun, attached := strings.Cut(os.Args[n-2], "=")
			if flag := flagWithValue(c.Command, name); attached && flag != nil {
				printValues(c, flag, name+"=", begun)
				return
			}
		}
		other(c)
	}
}

func printValues(c *cli.Context, flag cli.Flag, before, begun string) {
	if choice, ok := flag.(*ChoiceFlag); ok {
		printWords(c, before, choice.completing(begun))
	}
}

// flagWithValue returns the command's flag named by arg if its value comes next or
// after an equals sign, else nil.
func flagWithValue(command *cli.Command, arg string) cli.Flag {
	name := strings.TrimLeft(arg, "-")
	if name == arg {
		return nil
	}
	i := slices.IndexFunc(command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
	if i < 0 {
		return nil
	}
	flag, ok := command.Flags[i].(cli.DocGenerationFlag)
	if _, optional := flag.(*cli.GenericFlag); !ok || optional || !flag.TakesValue() {
		return nil
	}
	return flag
}

// IsPlain reports whether a shell takes name without quoting, so that completion may
// offer it.
func IsPlain(name string) bool {
	return !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("/._-+@%", c)
	})
}
