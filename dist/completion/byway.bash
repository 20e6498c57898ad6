# SPDX-License-Identifier: Apache-2.0
# Written by dist/docs.

# What may stand here, a line each: names:KIND, file, or a word of its own.
_byway_may_be() {
	local one
	for one; do
		case $one in
		names:*) byway ${config:+-c "$config"} list --names "${one#names:}" 2>/dev/null ;;
		file) compgen -f -- "$cur" ;;
		*) printf '%s\n' "$one" ;;
		esac
	done
}

# What may follow the words of a command: options, arguments by place, values by option.
_byway_know() {
	case $1 in
	'') options='--config --json --help --version' arguments=('init setup account mailbox domain profile provider route ip plan explain usage limits trace forgive suspend resume pause verify block unblock backup restore export apply import check config replies reload status reopen drain key password help') ;;
	account) arguments=('add list show set remove suspend resume verify') options='--config --json --help' ;;
	mailbox) arguments=('add list show set devices passwd remove pause resume block unblock') options='--config --json --help' ;;
	domain) arguments=('add list show set records verify remove') options='--config --json --help' ;;
	profile) arguments=('add list show set passwd authorize health test remove') options='--config --json --help' ;;
	provider) arguments=('list show') options='--config --json --help' ;;
	route) arguments=('set add list show remove') options='--config --json --help' ;;
	ip) arguments=('add list show set remove block unblock') options='--config --json --help' ;;
	plan) arguments=('add list show set remove') options='--config --json --help' ;;
	limits) arguments=('show reset') options='--config --json --help' ;;
	import) arguments=('mailboxes passwd-file') options='--config --json --help' ;;
	config) arguments=('check print options') options='--config --json --help' ;;
	replies) arguments=('print') options='--config --json --help' ;;
	key) arguments=('list rotate reseal') options='--config --json --help' ;;
	'init')
		found=1
		options='--config --json --help --dir --state --name --listen --listen-tls --control --user --certificate --certificate-key'
		arguments=()
		values=([--config]='file' [--dir]='file' [--state]='file' [--name]='' [--listen]='' [--listen-tls]='' [--control]='file' [--user]='' [--certificate]='file' [--certificate-key]='file')
		;;
	'setup')
		found=1
		options='--config --json --help --dir --state --control --user --name --certificate --certificate-key --listen --listen-tls --mta --provider --region --host --port --tls --ca --username --domain --password-stdin --password-file --mailbox --account --plan --to'
		arguments=()
		values=([--config]='file' [--dir]='file' [--state]='file' [--control]='file' [--user]='' [--name]='' [--certificate]='file' [--certificate-key]='file' [--listen]='' [--listen-tls]='' [--mta]='' [--provider]='names:provider' [--region]='' [--host]='' [--port]='' [--tls]='starttls implicit none' [--ca]='file' [--username]='' [--domain]='names:domain' [--password-file]='file' [--mailbox]='names:mailbox' [--account]='names:account' [--plan]='names:plan' [--to]='')
		;;
	'account add')
		found=1
		options='--config --json --help --plan --state --registered --owner-email --owner-signup --owner-verified --renewal-day --senders --restrict-senders --check-sender-domain --check-sender-callout --allowed-senders --verified-senders --route --fallback'
		arguments=('names:account')
		values=([--config]='file' [--plan]='names:plan' [--state]='active suspended-billing suspended-deliverability suspended-abuse closed' [--registered]='' [--owner-email]='' [--owner-signup]='email google facebook x microsoft' [--owner-verified]='yes no' [--renewal-day]='' [--senders]='inherit own verified any' [--restrict-senders]='yes no' [--check-sender-domain]='yes no' [--check-sender-callout]='yes no' [--allowed-senders]='' [--verified-senders]='' [--route]='names:route' [--fallback]='names:route')
		;;
	'account list')
		found=1
		options='--config --json --help'
		arguments=()
		values=([--config]='file')
		;;
	'account show')
		found=1
		options='--config --json --help'
		arguments=('names:account')
		values=([--config]='file')
		;;
	'account set')
		found=1
		options='--config --json --help --plan --state --registered --owner-email --owner-signup --owner-verified --renewal-day --senders --restrict-senders --check-sender-domain --check-sender-callout --allowed-senders --verified-senders --route --fallback'
		arguments=('names:account')
		values=([--config]='file' [--plan]='names:plan' [--state]='active suspended-billing suspended-deliverability suspended-abuse closed' [--registered]='' [--owner-email]='' [--owner-signup]='email google facebook x microsoft' [--owner-verified]='yes no' [--renewal-day]='' [--senders]='inherit own verified any' [--restrict-senders]='yes no' [--check-sender-domain]='yes no' [--check-sender-callout]='yes no' [--allowed-senders]='' [--verified-senders]='' [--route]='names:route' [--fallback]='names:route')
		;;
	'account remove')
		found=1
		options='--config --json --help --whole --yes'
		arguments=('names:account')
		values=([--config]='file')
		;;
	'account suspend')
		found=1
		options='--config --json --help --reason'
		arguments=('names:account')
		values=([--config]='file' [--reason]='billing deliverability abuse')
		;;
	'account resume')
		found=1
		options='--config --json --help'
		arguments=('names:account')
		values=([--config]='file')
		;;
	'account verify')
		found=1
		options='--config --json --help'
		arguments=('names:account')
		values=([--config]='file')
		;;
	'mailbox add')
		found=1
		options='--config --json --help --state --sandboxed --rate-per-minute --password-stdin --password-file --generate'
		arguments=('names:mailbox')
		values=([--config]='file' [--state]='active paused-owner paused-admin paused-abuse blocked' [--sandboxed]='yes no' [--rate-per-minute]='' [--password-file]='file')
		;;
	'mailbox list')
		found=1
		options='--config --json --help --account'
		arguments=()
		values=([--config]='file' [--account]='names:account')
		;;
	'mailbox show')
		found=1
		options='--config --json --help'
		arguments=('names:mailbox')
		values=([--config]='file')
		;;
	'mailbox set')
		found=1
		options='--config --json --help --state --sandboxed --rate-per-minute --password-stdin --password-file --generate'
		arguments=('names:mailbox')
		values=([--config]='file' [--state]='active paused-owner paused-admin paused-abuse blocked' [--sandboxed]='yes no' [--rate-per-minute]='' [--password-file]='file')
		;;
	'mailbox devices')
		found=1
		options='--config --json --help'
		arguments=('names:mailbox')
		values=([--config]='file')
		;;
	'mailbox passwd')
		found=1
		options='--config --json --help --password-stdin --password-file --generate'
		arguments=('names:mailbox')
		values=([--config]='file' [--password-file]='file')
		;;
	'mailbox remove')
		found=1
		options='--config --json --help --yes'
		arguments=('names:mailbox')
		values=([--config]='file')
		;;
	'mailbox pause')
		found=1
		options='--config --json --help --by'
		arguments=('names:mailbox')
		values=([--config]='file' [--by]='owner admin abuse')
		;;
	'mailbox resume')
		found=1
		options='--config --json --help'
		arguments=('names:mailbox')
		values=([--config]='file')
		;;
	'mailbox block')
		found=1
		options='--config --json --help'
		arguments=('names:mailbox')
		values=([--config]='file')
		;;
	'mailbox unblock')
		found=1
		options='--config --json --help'
		arguments=('names:mailbox')
		values=([--config]='file')
		;;
	'domain add')
		found=1
		options='--config --json --help --account --verified --dkim-selector --route --fallback'
		arguments=('names:domain')
		values=([--config]='file' [--account]='names:account' [--verified]='yes no' [--dkim-selector]='' [--route]='names:route' [--fallback]='names:route')
		;;
	'domain list')
		found=1
		options='--config --json --help --account'
		arguments=()
		values=([--config]='file' [--account]='names:account')
		;;
	'domain show')
		found=1
		options='--config --json --help'
		arguments=('names:domain')
		values=([--config]='file')
		;;
	'domain set')
		found=1
		options='--config --json --help --verified --dkim-selector --route --fallback'
		arguments=('names:domain')
		values=([--config]='file' [--verified]='yes no' [--dkim-selector]='' [--route]='names:route' [--fallback]='names:route')
		;;
	'domain records')
		found=1
		options='--config --json --help --zone'
		arguments=('names:domain')
		values=([--config]='file')
		;;
	'domain verify')
		found=1
		options='--config --json --help'
		arguments=('names:domain')
		values=([--config]='file')
		;;
	'domain remove')
		found=1
		options='--config --json --help --whole --yes'
		arguments=('names:domain')
		values=([--config]='file')
		;;
	'profile add')
		found=1
		options='--config --json --help --provider --transport --region --host --port --tls --username --auth --oauth-client --oauth-scope --token-endpoint --ca --pin --keep-headers --max-connections --messages-per-connection --per-minute --on-quota --strict --old-tls --domain --force --password-stdin --password-file'
		arguments=('names:profile')
		values=([--config]='file' [--provider]='names:provider' [--transport]='smtp api' [--region]='' [--host]='' [--port]='' [--tls]='none starttls implicit' [--username]='' [--auth]='password oauth2' [--oauth-client]='' [--oauth-scope]='' [--token-endpoint]='' [--ca]='file' [--pin]='' [--keep-headers]='' [--max-connections]='' [--messages-per-connection]='' [--per-minute]='' [--on-quota]='default defer reject' [--strict]='yes no' [--old-tls]='yes no' [--domain]='names:domain' [--password-file]='file')
		;;
	'profile list')
		found=1
		options='--config --json --help --account'
		arguments=()
		values=([--config]='file' [--account]='names:account')
		;;
	'profile show')
		found=1
		options='--config --json --help'
		arguments=('names:profile')
		values=([--config]='file')
		;;
	'profile set')
		found=1
		options='--config --json --help --provider --transport --host --port --tls --username --auth --oauth-client --oauth-scope --token-endpoint --ca --pin --keep-headers --max-connections --messages-per-connection --per-minute --on-quota --strict --old-tls --force --password-stdin --password-file'
		arguments=('names:profile')
		values=([--config]='file' [--provider]='names:provider' [--transport]='smtp api' [--host]='' [--port]='' [--tls]='none starttls implicit' [--username]='' [--auth]='password oauth2' [--oauth-client]='' [--oauth-scope]='' [--token-endpoint]='' [--ca]='file' [--pin]='' [--keep-headers]='' [--max-connections]='' [--messages-per-connection]='' [--per-minute]='' [--on-quota]='default defer reject' [--strict]='yes no' [--old-tls]='yes no' [--password-file]='file')
		;;
	'profile passwd')
		found=1
		options='--config --json --help --password-stdin --password-file'
		arguments=('names:profile')
		values=([--config]='file' [--password-file]='file')
		;;
	'profile authorize')
		found=1
		options='--config --json --help --token-stdin --port --consent'
		arguments=('names:profile')
		values=([--config]='file' [--port]='' [--consent]='')
		;;
	'profile health')
		found=1
		options='--config --json --help --socket'
		arguments=('names:profile')
		values=([--config]='file' [--socket]='file')
		;;
	'profile test')
		found=1
		options='--config --json --help --provider --transport --region --host --port --tls --username --auth --oauth-client --oauth-scope --token-endpoint --ca --pin --keep-headers --max-connections --messages-per-connection --per-minute --on-quota --strict --old-tls --domain --to --from --check-only --own --transcript --password-stdin --password-file'
		arguments=('names:profile')
		values=([--config]='file' [--provider]='names:provider' [--transport]='smtp api' [--region]='' [--host]='' [--port]='' [--tls]='none starttls implicit' [--username]='' [--auth]='password oauth2' [--oauth-client]='' [--oauth-scope]='' [--token-endpoint]='' [--ca]='file' [--pin]='' [--keep-headers]='' [--max-connections]='' [--messages-per-connection]='' [--per-minute]='' [--on-quota]='default defer reject' [--strict]='yes no' [--old-tls]='yes no' [--domain]='names:domain' [--to]='' [--from]='' [--password-file]='file')
		;;
	'profile remove')
		found=1
		options='--config --json --help --yes'
		arguments=('names:profile')
		values=([--config]='file')
		;;
	'provider list')
		found=1
		options='--config --json --help'
		arguments=()
		values=([--config]='file')
		;;
	'provider show')
		found=1
		options='--config --json --help'
		arguments=('names:provider')
		values=([--config]='file')
		;;
	'route set')
		found=1
		options='--config --json --help --fallback'
		arguments=('names:account names:domain' 'names:route')
		values=([--config]='file' [--fallback]='names:route')
		;;
	'route add')
		found=1
		options='--config --json --help --fallback'
		arguments=('names:account names:domain' 'names:route')
		values=([--config]='file' [--fallback]='names:route')
		;;
	'route list')
		found=1
		options='--config --json --help'
		arguments=()
		values=([--config]='file')
		;;
	'route show')
		found=1
		options='--config --json --help'
		arguments=('names:account names:domain')
		values=([--config]='file')
		;;
	'route remove')
		found=1
		options='--config --json --help'
		arguments=('names:account names:domain')
		values=([--config]='file')
		;;
	'ip add')
		found=1
		options='--config --json --help --account --state --sandboxed --rate-per-minute'
		arguments=('names:ip')
		values=([--config]='file' [--account]='names:account' [--state]='active paused-owner paused-admin paused-abuse blocked' [--sandboxed]='yes no' [--rate-per-minute]='')
		;;
	'ip list')
		found=1
		options='--config --json --help --account'
		arguments=()
		values=([--config]='file' [--account]='names:account')
		;;
	'ip show')
		found=1
		options='--config --json --help'
		arguments=('names:ip')
		values=([--config]='file')
		;;
	'ip set')
		found=1
		options='--config --json --help --state --sandboxed --rate-per-minute'
		arguments=('names:ip')
		values=([--config]='file' [--state]='active paused-owner paused-admin paused-abuse blocked' [--sandboxed]='yes no' [--rate-per-minute]='')
		;;
	'ip remove')
		found=1
		options='--config --json --help --yes'
		arguments=('names:ip')
		values=([--config]='file')
		;;
	'ip block')
		found=1
		options='--config --json --help'
		arguments=('names:ip')
		values=([--config]='file')
		;;
	'ip unblock')
		found=1
		options='--config --json --help'
		arguments=('names:ip')
		values=([--config]='file')
		;;
	'plan add')
		found=1
		options='--config --json --help --can-send --unit --mailbox-day --account-day --account-hour --recipients --size-max --monthly --senders'
		arguments=('names:plan')
		values=([--config]='file' [--can-send]='yes no' [--unit]='recipients messages' [--mailbox-day]='' [--account-day]='' [--account-hour]='' [--recipients]='' [--size-max]='' [--monthly]='' [--senders]='own verified any')
		;;
	'plan list')
		found=1
		options='--config --json --help'
		arguments=()
		values=([--config]='file')
		;;
	'plan show')
		found=1
		options='--config --json --help'
		arguments=('names:plan')
		values=([--config]='file')
		;;
	'plan set')
		found=1
		options='--config --json --help --can-send --unit --mailbox-day --account-day --account-hour --recipients --size-max --monthly --senders'
		arguments=('names:plan')
		values=([--config]='file' [--can-send]='yes no' [--unit]='recipients messages' [--mailbox-day]='' [--account-day]='' [--account-hour]='' [--recipients]='' [--size-max]='' [--monthly]='' [--senders]='own verified any')
		;;
	'plan remove')
		found=1
		options='--config --json --help --yes'
		arguments=('names:plan')
		values=([--config]='file')
		;;
	'explain')
		found=1
		options='--config --json --help --socket --to --all'
		arguments=('names:mailbox')
		values=([--config]='file' [--socket]='file' [--to]='')
		;;
	'usage')
		found=1
		options='--config --json --help --socket'
		arguments=('names:mailbox names:account')
		values=([--config]='file' [--socket]='file')
		;;
	'limits show')
		found=1
		options='--config --json --help --socket'
		arguments=('names:mailbox names:account')
		values=([--config]='file' [--socket]='file')
		;;
	'limits reset')
		found=1
		options='--config --json --help --socket'
		arguments=('names:mailbox names:account')
		values=([--config]='file' [--socket]='file')
		;;
	'trace')
		found=1
		options='--config --json --help --log'
		arguments=('')
		values=([--config]='file' [--log]='file')
		;;
	'forgive')
		found=1
		options='--config --json --help --socket'
		arguments=('names:mailbox')
		values=([--config]='file' [--socket]='file')
		;;
	'suspend')
		found=1
		options='--config --json --help --reason'
		arguments=('names:account')
		values=([--config]='file' [--reason]='billing deliverability abuse')
		;;
	'resume')
		found=1
		options='--config --json --help'
		arguments=('names:mailbox names:account')
		values=([--config]='file')
		;;
	'pause')
		found=1
		options='--config --json --help --by'
		arguments=('names:mailbox')
		values=([--config]='file' [--by]='owner admin abuse')
		;;
	'verify')
		found=1
		options='--config --json --help'
		arguments=('names:account')
		values=([--config]='file')
		;;
	'block')
		found=1
		options='--config --json --help'
		arguments=('names:mailbox names:ip')
		values=([--config]='file')
		;;
	'unblock')
		found=1
		options='--config --json --help'
		arguments=('names:mailbox names:ip')
		values=([--config]='file')
		;;
	'backup')
		found=1
		options='--config --json --help --passphrase-file --without-ring'
		arguments=('file')
		values=([--config]='file' [--passphrase-file]='file')
		;;
	'restore')
		found=1
		options='--config --json --help --to --passphrase-file --without-ring'
		arguments=('file')
		values=([--config]='file' [--to]='' [--passphrase-file]='file')
		;;
	'export')
		found=1
		options='--config --json --help --brief --hashes'
		arguments=('file')
		values=([--config]='file')
		;;
	'apply')
		found=1
		options='--config --json --help --dry-run --prune --passwords --generate --passwords-later --yes'
		arguments=('file')
		values=([--config]='file')
		;;
	'import mailboxes')
		found=1
		options='--config --json --help --map --generate --passwords-to --account --dry-run --passwords --yes'
		arguments=('file')
		values=([--config]='file' [--map]='' [--passwords-to]='file' [--account]='names:account')
		;;
	'import passwd-file')
		found=1
		options='--config --json --help --domain --account --dry-run --passwords --yes'
		arguments=('file')
		values=([--config]='file' [--domain]='names:domain' [--account]='names:account')
		;;
	'check')
		found=1
		options='--config --json --help --online'
		arguments=()
		values=([--config]='file')
		;;
	'config check')
		found=1
		options='--config --json --help --online'
		arguments=()
		values=([--config]='file')
		;;
	'config print')
		found=1
		options='--config --json --help --changed --origins'
		arguments=()
		values=([--config]='file')
		;;
	'config options')
		found=1
		options='--config --json --help'
		arguments=()
		values=([--config]='file')
		;;
	'replies print')
		found=1
		options='--config --json --help'
		arguments=('')
		values=([--config]='file')
		;;
	'reload')
		found=1
		options='--config --json --help --socket'
		arguments=()
		values=([--config]='file' [--socket]='file')
		;;
	'status')
		found=1
		options='--config --json --help --socket --all'
		arguments=()
		values=([--config]='file' [--socket]='file')
		;;
	'reopen')
		found=1
		options='--config --json --help --socket'
		arguments=()
		values=([--config]='file' [--socket]='file')
		;;
	'drain')
		found=1
		options='--config --json --help --socket'
		arguments=()
		values=([--config]='file' [--socket]='file')
		;;
	'key list')
		found=1
		options='--config --json --help'
		arguments=()
		values=([--config]='file')
		;;
	'key rotate')
		found=1
		options='--config --json --help'
		arguments=()
		values=([--config]='file')
		;;
	'key reseal')
		found=1
		options='--config --json --help'
		arguments=()
		values=([--config]='file')
		;;
	'password')
		found=1
		options='--config --json --help --password-stdin --password-file'
		arguments=()
		values=([--config]='file' [--password-file]='file')
		;;
	'help')
		found=1
		options='--config --json --help'
		arguments=('init setup account mailbox domain profile provider route ip plan explain usage limits trace forgive suspend resume pause verify block unblock backup restore export apply import check config replies reload status reopen drain key password help')
		values=([--config]='file')
		;;
	*) found=1 options= arguments=() ;;
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
complete -F _byway byway
