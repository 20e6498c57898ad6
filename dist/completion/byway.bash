# SPDX-License-Identifier: Apache-2.0
# Written by dist/docs.
_byway() {
	local cur=${COMP_WORDS[COMP_CWORD]} words= i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --config) ((i++)) ;;
		-*) ;;
		*) words+="${words:+ }${COMP_WORDS[i]}" ;;
		esac
	done
	case $words in
	'init'*) words='--config --json --help --dir --state --name --listen --listen-tls --control --user --certificate --certificate-key' ;;
	'setup'*) words='--config --json --help --dir --state --control --user --name --certificate --certificate-key --listen --listen-tls --mta --provider --region --host --port --tls --ca --username --domain --password-stdin --password-file --mailbox --account --plan --to' ;;
	'account add'*) words='--config --json --help --plan --state --registered --owner-email --owner-signup --owner-verified --renewal-day --senders --restrict-senders --check-sender-domain --check-sender-callout --allowed-senders --verified-senders --route --fallback' ;;
	'account list'*) words='--config --json --help' ;;
	'account show'*) words='--config --json --help' ;;
	'account set'*) words='--config --json --help --plan --state --registered --owner-email --owner-signup --owner-verified --renewal-day --senders --restrict-senders --check-sender-domain --check-sender-callout --allowed-senders --verified-senders --route --fallback' ;;
	'account remove'*) words='--config --json --help --whole --yes' ;;
	'account suspend'*) words='--config --json --help --reason' ;;
	'account resume'*) words='--config --json --help' ;;
	'account verify'*) words='--config --json --help' ;;
	'mailbox add'*) words='--config --json --help --state --sandboxed --rate-per-minute --password-stdin --password-file --generate' ;;
	'mailbox list'*) words='--config --json --help --account' ;;
	'mailbox show'*) words='--config --json --help' ;;
	'mailbox set'*) words='--config --json --help --state --sandboxed --rate-per-minute --password-stdin --password-file --generate' ;;
	'mailbox devices'*) words='--config --json --help' ;;
	'mailbox passwd'*) words='--config --json --help --password-stdin --password-file --generate' ;;
	'mailbox remove'*) words='--config --json --help --yes' ;;
	'mailbox pause'*) words='--config --json --help --by' ;;
	'mailbox resume'*) words='--config --json --help' ;;
	'mailbox block'*) words='--config --json --help' ;;
	'mailbox unblock'*) words='--config --json --help' ;;
	'domain add'*) words='--config --json --help --account --verified --dkim-selector --route --fallback' ;;
	'domain list'*) words='--config --json --help --account' ;;
	'domain show'*) words='--config --json --help' ;;
	'domain set'*) words='--config --json --help --verified --dkim-selector --route --fallback' ;;
	'domain records'*) words='--config --json --help --zone' ;;
	'domain verify'*) words='--config --json --help' ;;
	'domain remove'*) words='--config --json --help --whole --yes' ;;
	'profile add'*) words='--config --json --help --provider --transport --region --host --port --tls --username --auth --oauth-client --oauth-scope --token-endpoint --ca --pin --keep-headers --max-connections --messages-per-connection --per-minute --on-quota --strict --domain --force --password-stdin --password-file' ;;
	'profile list'*) words='--config --json --help --account' ;;
	'profile show'*) words='--config --json --help' ;;
	'profile set'*) words='--config --json --help --provider --transport --host --port --tls --username --auth --oauth-client --oauth-scope --token-endpoint --ca --pin --keep-headers --max-connections --messages-per-connection --per-minute --on-quota --strict --force --password-stdin --password-file' ;;
	'profile passwd'*) words='--config --json --help --password-stdin --password-file' ;;
	'profile authorize'*) words='--config --json --help --token-stdin --port --consent' ;;
	'profile health'*) words='--config --json --help --socket' ;;
	'profile test'*) words='--config --json --help --provider --transport --region --host --port --tls --username --auth --oauth-client --oauth-scope --token-endpoint --ca --pin --keep-headers --max-connections --messages-per-connection --per-minute --on-quota --strict --domain --to --from --check-only --own --transcript --password-stdin --password-file' ;;
	'profile remove'*) words='--config --json --help --yes' ;;
	'provider list'*) words='--config --json --help' ;;
	'provider show'*) words='--config --json --help' ;;
	'route set'*) words='--config --json --help --fallback' ;;
	'route add'*) words='--config --json --help --fallback' ;;
	'route list'*) words='--config --json --help' ;;
	'route show'*) words='--config --json --help' ;;
	'route remove'*) words='--config --json --help' ;;
	'ip add'*) words='--config --json --help --account --state --sandboxed --rate-per-minute' ;;
	'ip list'*) words='--config --json --help --account' ;;
	'ip show'*) words='--config --json --help' ;;
	'ip set'*) words='--config --json --help --state --sandboxed --rate-per-minute' ;;
	'ip remove'*) words='--config --json --help --yes' ;;
	'ip block'*) words='--config --json --help' ;;
	'ip unblock'*) words='--config --json --help' ;;
	'plan add'*) words='--config --json --help --can-send --unit --mailbox-day --account-day --account-hour --recipients --size-max --monthly --senders' ;;
	'plan list'*) words='--config --json --help' ;;
	'plan show'*) words='--config --json --help' ;;
	'plan set'*) words='--config --json --help --can-send --unit --mailbox-day --account-day --account-hour --recipients --size-max --monthly --senders' ;;
	'plan remove'*) words='--config --json --help --yes' ;;
	'explain'*) words='--config --json --help --socket --to --all' ;;
	'usage'*) words='--config --json --help --socket' ;;
	'limits show'*) words='--config --json --help --socket' ;;
	'limits reset'*) words='--config --json --help --socket' ;;
	'trace'*) words='--config --json --help --log' ;;
	'forgive'*) words='--config --json --help --socket' ;;
	'suspend'*) words='--config --json --help --reason' ;;
	'resume'*) words='--config --json --help' ;;
	'pause'*) words='--config --json --help --by' ;;
	'verify'*) words='--config --json --help' ;;
	'block'*) words='--config --json --help' ;;
	'unblock'*) words='--config --json --help' ;;
	'backup'*) words='--config --json --help --passphrase-file --without-ring' ;;
	'restore'*) words='--config --json --help --to --passphrase-file --without-ring' ;;
	'export'*) words='--config --json --help --brief --hashes' ;;
	'apply'*) words='--config --json --help --dry-run --prune --passwords --generate --passwords-later --yes' ;;
	'import mailboxes'*) words='--config --json --help --map --generate --passwords-to --account --dry-run --passwords --yes' ;;
	'import passwd-file'*) words='--config --json --help --domain --account --dry-run --passwords --yes' ;;
	'check'*) words='--config --json --help --online' ;;
	'config check'*) words='--config --json --help --online' ;;
	'config print'*) words='--config --json --help --changed' ;;
	'config options'*) words='--config --json --help' ;;
	'replies print'*) words='--config --json --help' ;;
	'reload'*) words='--config --json --help --socket' ;;
	'status'*) words='--config --json --help --socket --all' ;;
	'reopen'*) words='--config --json --help --socket' ;;
	'drain'*) words='--config --json --help --socket' ;;
	'key list'*) words='--config --json --help' ;;
	'key rotate'*) words='--config --json --help' ;;
	'key reseal'*) words='--config --json --help' ;;
	'password'*) words='--config --json --help --password-stdin --password-file' ;;
	'help'*) words='--config --json --help' ;;
	'') words='--config --json --help --version init setup account mailbox domain profile provider route ip plan explain usage limits trace forgive suspend resume pause verify block unblock backup restore export apply import check config replies reload status reopen drain key password help' ;;
	'account') words='add list show set remove suspend resume verify' ;;
	'mailbox') words='add list show set devices passwd remove pause resume block unblock' ;;
	'domain') words='add list show set records verify remove' ;;
	'profile') words='add list show set passwd authorize health test remove' ;;
	'provider') words='list show' ;;
	'route') words='set add list show remove' ;;
	'ip') words='add list show set remove block unblock' ;;
	'plan') words='add list show set remove' ;;
	'limits') words='show reset' ;;
	'import') words='mailboxes passwd-file' ;;
	'config') words='check print options' ;;
	'replies') words='print' ;;
	'key') words='list rotate reseal' ;;
	*) words= ;;
	esac
	case $cur in
	-* | '') COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
	*) COMPREPLY=($(compgen -W "$words" -- "$cur") $(compgen -f -- "$cur")) ;;
	esac
}
complete -F _byway byway
