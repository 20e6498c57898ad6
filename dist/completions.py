# SPDX-License-Identifier: Apache-2.0
"""completions - what bash, zsh and fish complete for byway, out of `byway help --json` (dist/docs calls it).

Words come with the options that take them, names by the words that stand for arguments (NAMES): `byway list --names KIND`. An argument of
another name is completed by nothing, so a new command needs no line here.
"""

# What stands for an argument, and whose names it takes.
NAMES = {"ACCOUNT": "account", "ADDRESS": "mailbox", "MAILBOX": "mailbox", "LOGIN": "mailbox", "DOMAIN": "domain", "NETWORK": "ip", "PLAN": "plan",
         "ACCOUNT/PROFILE": "profile", "PROVIDER": "provider", "ROUTE": "route"}
FILES = {"FILE", "PATH", "DIR", "FILE.csv", "[FILE]"}
# Options whose ADDRESS is anybody's.
ANYBODY = {"to", "from", "owner-email"}


def of_word(word):
    """What an argument may be: names:KIND, file, or nothing."""
    if word in FILES:
        return ["file"]
    return [f"names:{NAMES[w]}" for w in word.strip("[]").split("|") if w in NAMES]


def of_option(option):
    if "words" in option:
        return option["words"]
    return [] if option["name"] in ANYBODY else of_word(option.get("argument", ""))


def of_arguments(command, told):
    if command["command"] == "help":
        return [list(families(told))]
    return [of_word(word) for word in command["arguments"].split()]


def families(told):
    """{"mailbox": [("add", summary), ...], "init": []}, in the table's order."""
    found = {}
    for command in told["commands"]:
        first, _, second = command["command"].partition(" ")
        found.setdefault(first, [])
        if second:
            found[first].append((second, command["summary"]))
    return found


def single(text):
    return "'" + text.replace("'", "'\\''") + "'"


# ---- bash ---------------------------------------------------------------------------------------

BASH_HEAD = """# SPDX-License-Identifier: Apache-2.0
# Written by dist/docs.

# What may stand here, a line each: names:KIND, file, or a word of its own.
_byway_may_be() {
	local one
	for one; do
		case $one in
		names:*) byway ${config:+-c "$config"} list --names "${one#names:}" 2>/dev/null ;;
		file) compgen -f -- "$cur" ;;
		*) printf '%s\\n' "$one" ;;
		esac
	done
}

# What may follow the words of a command: options, arguments by place, values by option.
_byway_know() {
	case $1 in"""

BASH_TAIL = """	*) found=1 options= arguments=() ;;
	esac
}

_byway() {
	local cur command= config= options= found= spec= last= i at=0 n
	local -a line arguments=()
	local -A values=()
	# Readline's words end at @ and : too; ours do not.
	read -ra line <<<"${COMP_LINE:0:COMP_POINT}"
	[[ ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && line+=('')
	cur=${line[-1]}
	unset 'line[-1]'
	n=${#line[@]}
	_byway_know ''
	for ((i = 1; i < n; i++)); do
		if [[ ${line[i]} == -c || ${line[i]} == --config ]]; then
			config=${line[++i]-}
			((i >= n)) && last=--config
		elif [[ ${line[i]} == -* ]]; then
			[[ -n $found && -v values[${line[i]}] ]] && last=${line[i]} && ((++i < n)) && last=
		elif [[ -n $found ]]; then
			((++at))
		else
			command+="${command:+ }${line[i]}"
			_byway_know "$command"
		fi
	done
	if [[ $last == --config ]]; then
		spec=file
	elif [[ -n $last ]]; then
		spec=${values[$last]}
	elif [[ $cur == -* ]]; then
		spec=$options
	else
		spec=${arguments[at]-}
	fi
	mapfile -t COMPREPLY < <(compgen -W "$(_byway_may_be $spec)" -- "$cur")
	# Readline has what stands before the last @, : or = already.
	local said=${cur%"${cur##*[@:=]}"}
	COMPREPLY=("${COMPREPLY[@]#"$said"}")
}
complete -F _byway byway"""


def bash(told):
    everywhere = " ".join(f"--{o['name']}" for o in told["options"] if o["name"] != "version")
    kinds = families(told)
    whole = {c["command"] for c in told["commands"]}
    yield BASH_HEAD
    yield f"\t'') options='{everywhere} --version' arguments=('{' '.join(kinds)}') ;;"
    for first, seconds in kinds.items():
        if seconds and first not in whole:
            yield f"\t{first}) arguments=('{' '.join(s for s, _ in seconds)}') options='{everywhere}' ;;"
    for command in told["commands"]:
        values = [f"[--{o['name']}]={single(' '.join(of_option(o)))}" for o in [*told["options"], *command["options"]] if "argument" in o]
        options = " ".join([everywhere, *(f"--{o['name']}" for o in command["options"])])
        arguments = " ".join(single(" ".join(a)) for a in of_arguments(command, told))
        yield f"\t'{command['command']}')\n\t\tfound=1\n\t\toptions='{options}'\n\t\targuments=({arguments})\n\t\tvalues=({' '.join(values)})\n\t\t;;"
    yield BASH_TAIL


# ---- zsh ----------------------------------------------------------------------------------------

ZSH_HEAD = """#compdef byway
# SPDX-License-Identifier: Apache-2.0
# Written by dist/docs.

_byway_names() {
	local -a found
	found=(${(f)"$(byway ${byway_config:+-c} $byway_config list --names $1 2>/dev/null)"})
	compadd -a found
}

_byway_may_be() {
	local one
	for one in ${(s: :)1}; do
		case $one in
		names:*) _byway_names ${one#names:} ;;
		file) _files ;;
		*) compadd -- $one ;;
		esac
	done
}

_byway() {
	local command= byway_config= i
	local -a next
	for ((i = 2; i < CURRENT; i++)); do
		[[ $words[i] == (-c|--config) ]] && byway_config=$words[i+1]
	done
	for ((i = 2; i < CURRENT; i++)); do
		case $words[i] in
		-c | --config) ((i++)); continue ;;
		-*) continue ;;
		esac
		command+="${command:+ }$words[i]"
		case $command in"""

ZSH_MIDDLE = """		*) break ;;
		esac
	done
	if ((i >= CURRENT)); then
		case $command in"""

ZSH_COMMANDS = """		esac
		if [[ $words[CURRENT-1] == (-c|--config) ]]; then
			_files
		elif [[ $words[CURRENT] == -* ]]; then
			compadd -- $everywhere
		else
			_describe command next
		fi
		return
	fi
	shift $((i - 1)) words
	((CURRENT -= i - 1))
	case $command in"""

ZSH_TAIL = """	esac
}

_byway "$@\""""


def zsh_text(text):
    for char in "\\[]:":
        text = text.replace(char, "\\" + char)
    return text


def zsh_option(option):
    text = f"--{option['name']}[{zsh_text(option['help'])}]"
    if "argument" in option:
        text += f":{zsh_text(option['argument'])}:" + (f" _byway_may_be \"{' '.join(of_option(option))}\"").replace(":", "\\:")
    return single(text)


def zsh_next(pairs):
    return " ".join(single(f"{word}:{zsh_text(help)}") for word, help in pairs)


def zsh(told):
    kinds = families(told)
    first_of = [(first, next(c["summary"] for c in told["commands"] if c["command"] == first) if not seconds else ", ".join(s for s, _ in seconds))
                for first, seconds in kinds.items()]
    yield ZSH_HEAD.replace("local -a next", "local -a next everywhere=(" + " ".join(f"--{o['name']}" for o in told["options"]) + ")")
    yield "\t\t" + " | ".join(f for f, s in kinds.items() if s) + ") ;;"
    yield ZSH_MIDDLE
    yield f"\t\t'') next=({zsh_next(first_of)}) ;;"
    for first, seconds in kinds.items():
        if seconds:
            yield f"\t\t{first}) next=({zsh_next(seconds)}) ;;"
    yield ZSH_COMMANDS
    common = [zsh_option(o) for o in told["options"] if o["name"] != "version"] + ["'-c[configuration]:PATH:_files'"]
    for command in told["commands"]:
        specs = [zsh_option(o) for o in command["options"]]
        for word, may_be in zip(command["arguments"].split(), of_arguments(command, told)):
            specs.append(single(f":{zsh_text(word)}:" + f" _byway_may_be \"{' '.join(may_be)}\"".replace(":", "\\:")))
        yield f"\t'{command['command']}')\n\t\t_arguments -S " + " \\\n\t\t\t".join(common + specs) + " ;;"
    yield ZSH_TAIL


# ---- fish ---------------------------------------------------------------------------------------

FISH_HEAD = """# SPDX-License-Identifier: Apache-2.0
# Written by dist/docs.

# The line's command: its first words, without options and the configuration's name.
function __byway_words
    set -l skip 0
    for word in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
        else if contains -- $word -c --config
            set skip 1
        else if not string match -q -- '-*' $word
            echo $word
        end
    end
end

function __byway_is
    set -l words (__byway_words)
    set -l n (count $argv)
    test (count $words) -ge $n; and test "$words[1..$n]" = "$argv"
end

# Nothing but these words so far.
function __byway_only
    test "$(__byway_words)" = "$argv"
end

function __byway_names
    set -l line (commandline -opc)
    set -l at (contains -i -- -c $line; or contains -i -- --config $line)
    if test -n "$at"
        byway -c $line[(math $at + 1)] list --names $argv[1] 2>/dev/null
    else
        byway list --names $argv[1] 2>/dev/null
    end
end

complete -c byway -f"""


def fish_values(specs):
    return " ".join(f"(__byway_names {s[6:]})" if s.startswith("names:") else s for s in specs if s != "file")


def fish_option(option, condition):
    text = f"complete -c byway{condition} -l {option['name']}"
    if "argument" in option:
        specs = of_option(option)
        text += " -r" if "file" in specs else " -x"
        text += " -F" if "file" in specs else f" -a '{fish_values(specs)}'" if specs else ""
    return text + f" -d {fish_text(option['help'])}"


def fish_text(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish(told):
    yield FISH_HEAD
    kinds = families(told)
    for option in told["options"]:
        yield fish_option(option, " -s c" if option["name"] == "config" else "")
    for first, seconds in kinds.items():
        summary = next((c["summary"] for c in told["commands"] if c["command"] == first), ", ".join(s for s, _ in seconds))
        yield f"complete -c byway -n __byway_only -a {first} -d {fish_text(summary)}"
        for second, help in seconds:
            yield f"complete -c byway -n '__byway_only {first}' -a {second} -d {fish_text(help)}"
    for command in told["commands"]:
        condition = f" -n '__byway_is {command['command']}'"
        specs = sum(of_arguments(command, told), [])
        if specs:
            yield f"complete -c byway{condition}" + (" -F" if "file" in specs else "") + (f" -a '{fish_values(specs)}'" if fish_values(specs) else "")
        for option in command["options"]:
            yield fish_option(option, condition)


def of_all(told):
    return {shell: "\n".join(write(told)) + "\n" for shell, write in (("bash", bash), ("zsh", zsh), ("fish", fish))}
