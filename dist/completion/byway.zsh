#compdef byway
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
	local -a next everywhere=(--config --json --help --version)
	for ((i = 2; i < CURRENT; i++)); do
		[[ $words[i] == (-c|--config) ]] && byway_config=$words[i+1]
	done
	for ((i = 2; i < CURRENT; i++)); do
		case $words[i] in
		-c | --config) ((i++)); continue ;;
		-*) continue ;;
		esac
		command+="${command:+ }$words[i]"
		case $command in
		account | mailbox | domain | profile | provider | route | ip | plan | limits | import | config | replies | key) ;;
		*) break ;;
		esac
	done
	if ((i >= CURRENT)); then
		case $command in
		'') next=('init:Makes a new installation\: configuration, certificate, keys, directory.' 'setup:Makes an installation that sends\: asks for what it needs and tries it.' 'account:add, list, show, set, remove, suspend, resume, verify' 'mailbox:add, list, show, set, devices, passwd, remove, pause, resume, block, unblock' 'domain:add, list, show, set, records, verify, remove' 'profile:add, list, show, set, passwd, authorize, health, test, remove' 'provider:list, show' 'route:set, add, list, show, remove' 'ip:add, list, show, set, remove, block, unblock' 'plan:add, list, show, set, remove' 'explain:Tells why a mailbox cannot send\: ten checks against the running daemon, in order; the first that fails is almost always the cause.' 'usage:Shows what was used of the plan'\''s limits and when there is room again, what was refused of late by cause, and how each upstream is, with its last words.' 'limits:show, reset' 'trace:Tells the story of a message or a session out of the log\: the id stands in the last line of a refusal, in the reply to a message, and in `Received\:`.' 'forgive:Forgets the failed log-ins of a name, so that it may be tried again from everywhere.' 'suspend:The same as account suspend.' 'resume:The same as mailbox resume or account resume, by the name.' 'pause:The same as mailbox pause.' 'verify:The same as account verify.' 'block:The same as mailbox block or ip block, by the name.' 'unblock:The same as mailbox unblock or ip unblock, by the name.' 'backup:Writes directory, configuration and key ring of one moment to one file, while all runs on.' 'restore:Unpacks a backup to a folder of its own.' 'export:Writes the whole directory as the file that apply reads; passwords aside, but for --hashes.' 'apply:Makes the directory as a file says, or all *.ini of a folder.' 'import:mailboxes, passwd-file' 'check:Checks all that bywayd needs\: configuration, files, key ring, certificates, directory, ports.' 'config:check, print, options' 'replies:print' 'reload:Has the daemon read its configuration anew, and tells whether it did.' 'status:Shows how the daemon is\: workers, sessions, counters.' 'reopen:Has the daemon open its log file anew, after it was moved away.' 'drain:Ends the daemon when what is under way is done.' 'key:list, rotate, reseal' 'password:Prints the hash of a password, for password_hash in the file of apply.' 'help:Tells what a command does, or lists all of them; with --json, all with their options.') ;;
		account) next=('add:Adds an account.' 'list:Lists the accounts.' 'show:Shows an account.' 'set:Changes an account; it counts from the next message of sessions that are open.' 'remove:Removes an account.' 'suspend:Suspends an account\: none of its mailboxes sends, by no route.' 'resume:Ends an account'\''s suspension.' 'verify:Notes that the owner'\''s address is confirmed.') ;;
		mailbox) next=('add:Adds a mailbox, which may log in.' 'list:Lists the mailboxes.' 'show:Shows a mailbox.' 'set:Changes a mailbox.' 'devices:Tells what to type into a mail program or a device\: server, ports, encryption, user name.' 'passwd:Gives a mailbox a new password.' 'remove:Removes a mailbox.' 'pause:Pauses a mailbox\: it cannot log in, and open sessions send nothing more.' 'resume:Ends a mailbox'\''s pause.' 'block:Blocks a mailbox\: it logs in, and hears at MAIL that it may not send.' 'unblock:Ends a mailbox'\''s block.') ;;
		domain) next=('add:Adds a domain to an account.' 'list:Lists the domains.' 'show:Shows a domain.' 'set:Changes a domain.' 'records:Tells what a domain'\''s name servers should say\: SPF, DKIM, DMARC, and where its clients send.' 'verify:Looks for a domain'\''s SPF, DKIM, DMARC and MX records, and says which is missing and what it should be.' 'remove:Removes a domain.') ;;
		profile) next=('add:Adds an upstream of an account'\''s own, with its credentials.' 'list:Lists the profiles.' 'show:Shows a profile; of its password only when it was set.' 'set:Changes a profile.' 'passwd:Gives a profile a new password.' 'authorize:Gets an OAuth2 profile its refresh token, by consent in a browser.' 'health:Shows how a profile'\''s server is doing\: its last word, since when it fails, for how long nobody asks it.' 'test:Tries a profile step by step, and says what to do where it fails.' 'remove:Removes a profile that no route names.') ;;
		provider) next=('list:Lists the presets of providers, for byway profile add --provider.' 'show:Shows a preset\: hosts, limits, and where the user name and the password are found.') ;;
		route) next=('set:Says where the mail of an account or of a domain goes\: native, inherit, or the name of a profile.' 'add:The same as route set.' 'list:Lists all routes, with what they come to.' 'show:Shows one route, with what it comes to.' 'remove:Takes a route and its fallback back\: inherit, none.') ;;
		ip) next=('add:Lets an address or a network send without login, for an account.' 'list:Lists the IP identities.' 'show:Shows an IP identity.' 'set:Changes an IP identity.' 'remove:Removes an IP identity.' 'block:Blocks an IP identity.' 'unblock:Ends an IP identity'\''s block.') ;;
		plan) next=('add:Adds a plan.' 'list:Lists the plans.' 'show:Shows a plan.' 'set:Changes a plan for all its accounts, at once; no count is reset.' 'remove:Removes a plan that no account has.') ;;
		limits) next=('show:Shows the counters against the plan'\''s limits.' 'reset:Sets the counters of an account, or of a mailbox and its account, to zero.') ;;
		import) next=('mailboxes:Adds mailboxes from a table (CSV), or changes them.' 'passwd-file:Adds mailboxes with their hashed passwords from Dovecot'\''s passwd-file.') ;;
		config) next=('check:The same as byway check.' 'print:Prints the configuration that holds, secrets masked.' 'options:Lists every option of byway.ini with its default and what it may be.') ;;
		replies) next=('print:Prints what clients hear of us, row by row\: of a reply profile, or as the configuration has it.') ;;
		key) next=('list:Lists the keys of the ring by their ids.' 'rotate:Adds a key and seals all credentials with it.' 'reseal:Seals what is not under the newest key anew\: the second half of rotate.') ;;
		esac
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
	case $command in
	'init')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--dir[where the configuration and the keys go (default /etc/byway)]:DIR: _byway_may_be "file"' \
			'--state[where the directory'\''s database goes (default /var/lib/byway, or DIR if --dir is given)]:DIR: _byway_may_be "file"' \
			'--name[the relay'\''s host name (default this machine'\''s)]:HOST: _byway_may_be ""' \
			'--listen[addresses for clients that speak STARTTLS, with commas between; without a port\: 25, 587, 2525 (and 465 with TLS)]:LIST: _byway_may_be ""' \
			'--listen-tls[addresses for clients that speak TLS at once; without a port\: 465]:LIST: _byway_may_be ""' \
			'--control[the daemon'\''s control socket (default /run/byway/control.sock)]:PATH: _byway_may_be "file"' \
			'--user[who the daemon becomes (default byway, where root runs this and there is such a user)]:USER: _byway_may_be ""' \
			'--certificate[your certificate with its chain, PEM (default\: one is made)]:FILE: _byway_may_be "file"' \
			'--certificate-key[its key, PEM]:FILE: _byway_may_be "file"' ;;
	'setup')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--dir[where the configuration and the keys go (default /etc/byway)]:DIR: _byway_may_be "file"' \
			'--state[where the directory'\''s database goes, as in byway init]:DIR: _byway_may_be "file"' \
			'--control[the daemon'\''s control socket, as in byway init]:PATH: _byway_may_be "file"' \
			'--user[who the daemon becomes, as in byway init]:USER: _byway_may_be ""' \
			'--name[the relay'\''s host name (default this machine'\''s)]:HOST: _byway_may_be ""' \
			'--certificate[your certificate with its chain, PEM (default\: one is made)]:FILE: _byway_may_be "file"' \
			'--certificate-key[its key, PEM]:FILE: _byway_may_be "file"' \
			'--listen[addresses for STARTTLS (default\: those of 587, 25, 2525, 8025, 80 that are free)]:LIST: _byway_may_be ""' \
			'--listen-tls[addresses for TLS at once (default\: those of 465, 8465, 443 that are free)]:LIST: _byway_may_be ""' \
			'--mta[your own mail server, HOST or HOST\:PORT, for native mail]:HOST: _byway_may_be ""' \
			'--provider[or a provider, see byway provider list]:PROVIDER: _byway_may_be "names\:provider"' \
			'--region[of its hosts]:REGION: _byway_may_be ""' \
			'--host[or any other server that customers may name]:HOST: _byway_may_be ""' \
			'--port[of --host]:PORT: _byway_may_be ""' \
			'--tls[of --mta or --host (default starttls)]:starttls|implicit|none: _byway_may_be "starttls implicit none"' \
			'--ca[PEM file with a private CA for --mta or --host]:FILE: _byway_may_be "file"' \
			'--username[login at the provider; its password is asked for]:NAME: _byway_may_be ""' \
			'--domain[mailgun\: the sending domain]:DOMAIN: _byway_may_be "names\:domain"' \
			'--password-stdin[take the provider'\''s password from standard input]' \
			'--password-file[take the provider'\''s password from a file]:FILE: _byway_may_be "file"' \
			'--mailbox[the first mailbox; its password is made and shown once]:ADDRESS: _byway_may_be "names\:mailbox"' \
			'--account[whose it is (default\: the first word of its domain)]:ACCOUNT: _byway_may_be "names\:account"' \
			'--plan[of a new account (default pro)]:PLAN: _byway_may_be "names\:plan"' \
			'--to[who gets the test message (default\: the mailbox)]:ADDRESS: _byway_may_be ""' ;;
	'account add')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--plan[nano, starter, pro, agency, or one of yours]:PLAN: _byway_may_be "names\:plan"' \
			'--state[active (default), suspended-billing, suspended-deliverability, suspended-abuse, closed]:STATE: _byway_may_be "active suspended-billing suspended-deliverability suspended-abuse closed"' \
			'--registered[when its owner signed up, UTC (default now)]:DATE: _byway_may_be ""' \
			'--owner-email[the owner'\''s own address]:ADDRESS: _byway_may_be ""' \
			'--owner-signup[how the owner signed up\: email (default), google, facebook, x, microsoft]:HOW: _byway_may_be "email google facebook x microsoft"' \
			'--owner-verified[the owner'\''s address was confirmed (default no)]:yes|no: _byway_may_be "yes no"' \
			'--renewal-day[of the monthly allowance, 1 to 31 (default 1); a shorter month\: its last day]:DAY: _byway_may_be ""' \
			'--senders[whose names its mail may bear\: inherit (default)\: as its plan says; own, verified, any]:WHOSE: _byway_may_be "inherit own verified any"' \
			'--restrict-senders[only allowed_senders may be senders (default no)]:yes|no: _byway_may_be "yes no"' \
			'--check-sender-domain[the sender in MAIL must be of a domain that takes mail, and exist if it is one of ours (default no)]:yes|no: _byway_may_be "yes no"' \
			'--check-sender-callout[the same, and the domain'\''s own server is asked whether the sender exists (default no)]:yes|no: _byway_may_be "yes no"' \
			'--allowed-senders[addresses, or @domain for all of it, with commas between]:LIST: _byway_may_be ""' \
			'--verified-senders[addresses that were verified one by one, with commas between]:LIST: _byway_may_be ""' \
			'--route[where its mail goes\: native, one of its profiles, or inherit (default)\: native where the plan can send]:ROUTE: _byway_may_be "names\:route"' \
			'--fallback[where mail goes that the route could not take\: native, a profile, or none (default)]:ROUTE: _byway_may_be "names\:route"' \
			':ACCOUNT: _byway_may_be "names\:account"' ;;
	'account list')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' ;;
	'account show')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':ACCOUNT: _byway_may_be "names\:account"' ;;
	'account set')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--plan[nano, starter, pro, agency, or one of yours]:PLAN: _byway_may_be "names\:plan"' \
			'--state[active (default), suspended-billing, suspended-deliverability, suspended-abuse, closed]:STATE: _byway_may_be "active suspended-billing suspended-deliverability suspended-abuse closed"' \
			'--registered[when its owner signed up, UTC (default now)]:DATE: _byway_may_be ""' \
			'--owner-email[the owner'\''s own address]:ADDRESS: _byway_may_be ""' \
			'--owner-signup[how the owner signed up\: email (default), google, facebook, x, microsoft]:HOW: _byway_may_be "email google facebook x microsoft"' \
			'--owner-verified[the owner'\''s address was confirmed (default no)]:yes|no: _byway_may_be "yes no"' \
			'--renewal-day[of the monthly allowance, 1 to 31 (default 1); a shorter month\: its last day]:DAY: _byway_may_be ""' \
			'--senders[whose names its mail may bear\: inherit (default)\: as its plan says; own, verified, any]:WHOSE: _byway_may_be "inherit own verified any"' \
			'--restrict-senders[only allowed_senders may be senders (default no)]:yes|no: _byway_may_be "yes no"' \
			'--check-sender-domain[the sender in MAIL must be of a domain that takes mail, and exist if it is one of ours (default no)]:yes|no: _byway_may_be "yes no"' \
			'--check-sender-callout[the same, and the domain'\''s own server is asked whether the sender exists (default no)]:yes|no: _byway_may_be "yes no"' \
			'--allowed-senders[addresses, or @domain for all of it, with commas between]:LIST: _byway_may_be ""' \
			'--verified-senders[addresses that were verified one by one, with commas between]:LIST: _byway_may_be ""' \
			'--route[where its mail goes\: native, one of its profiles, or inherit (default)\: native where the plan can send]:ROUTE: _byway_may_be "names\:route"' \
			'--fallback[where mail goes that the route could not take\: native, a profile, or none (default)]:ROUTE: _byway_may_be "names\:route"' \
			':ACCOUNT: _byway_may_be "names\:account"' ;;
	'account remove')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--whole[with all that hangs on it]' \
			'--yes[do not ask]' \
			':ACCOUNT: _byway_may_be "names\:account"' ;;
	'account suspend')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--reason[why]:billing|deliverability|abuse: _byway_may_be "billing deliverability abuse"' \
			':ACCOUNT: _byway_may_be "names\:account"' ;;
	'account resume')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':ACCOUNT: _byway_may_be "names\:account"' ;;
	'account verify')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':ACCOUNT: _byway_may_be "names\:account"' ;;
	'mailbox add')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--state[active (default), paused-owner, paused-admin, paused-abuse, blocked]:STATE: _byway_may_be "active paused-owner paused-admin paused-abuse blocked"' \
			'--sandboxed[mail is accepted and discarded\: a test lane (default no)]:yes|no: _byway_may_be "yes no"' \
			'--rate-per-minute[speed limit; 0\: none (default)]:N: _byway_may_be ""' \
			'--password-stdin[take the password from standard input (one line)]' \
			'--password-file[take the password from a file that only you can read]:FILE: _byway_may_be "file"' \
			'--generate[make a password of 160 random bits and print it once]' \
			':ADDRESS: _byway_may_be "names\:mailbox"' ;;
	'mailbox list')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--account[of this account only]:ACCOUNT: _byway_may_be "names\:account"' ;;
	'mailbox show')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':ADDRESS: _byway_may_be "names\:mailbox"' ;;
	'mailbox set')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--state[active (default), paused-owner, paused-admin, paused-abuse, blocked]:STATE: _byway_may_be "active paused-owner paused-admin paused-abuse blocked"' \
			'--sandboxed[mail is accepted and discarded\: a test lane (default no)]:yes|no: _byway_may_be "yes no"' \
			'--rate-per-minute[speed limit; 0\: none (default)]:N: _byway_may_be ""' \
			'--password-stdin[take the password from standard input (one line)]' \
			'--password-file[take the password from a file that only you can read]:FILE: _byway_may_be "file"' \
			'--generate[make a password of 160 random bits and print it once]' \
			':ADDRESS: _byway_may_be "names\:mailbox"' ;;
	'mailbox devices')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':ADDRESS: _byway_may_be "names\:mailbox"' ;;
	'mailbox passwd')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--password-stdin[take the password from standard input (one line)]' \
			'--password-file[take the password from a file that only you can read]:FILE: _byway_may_be "file"' \
			'--generate[make a password of 160 random bits and print it once]' \
			':ADDRESS: _byway_may_be "names\:mailbox"' ;;
	'mailbox remove')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--yes[do not ask]' \
			':ADDRESS: _byway_may_be "names\:mailbox"' ;;
	'mailbox pause')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--by[who pauses it (default admin)]:owner|admin|abuse: _byway_may_be "owner admin abuse"' \
			':ADDRESS: _byway_may_be "names\:mailbox"' ;;
	'mailbox resume')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':ADDRESS: _byway_may_be "names\:mailbox"' ;;
	'mailbox block')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':ADDRESS: _byway_may_be "names\:mailbox"' ;;
	'mailbox unblock')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':ADDRESS: _byway_may_be "names\:mailbox"' ;;
	'domain add')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--account[whose it is]:ACCOUNT: _byway_may_be "names\:account"' \
			'--verified[its DNS records were seen (default no)]:yes|no: _byway_may_be "yes no"' \
			'--dkim-selector[selector of its DKIM record]:NAME: _byway_may_be ""' \
			'--route[where its mail goes\: native, a profile of the account, or inherit (default)\: as the account says]:ROUTE: _byway_may_be "names\:route"' \
			'--fallback[where mail goes that the route could not take\: native, a profile, or none (default)]:ROUTE: _byway_may_be "names\:route"' \
			':DOMAIN: _byway_may_be "names\:domain"' ;;
	'domain list')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--account[of this account only]:ACCOUNT: _byway_may_be "names\:account"' ;;
	'domain show')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':DOMAIN: _byway_may_be "names\:domain"' ;;
	'domain set')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--verified[its DNS records were seen (default no)]:yes|no: _byway_may_be "yes no"' \
			'--dkim-selector[selector of its DKIM record]:NAME: _byway_may_be ""' \
			'--route[where its mail goes\: native, a profile of the account, or inherit (default)\: as the account says]:ROUTE: _byway_may_be "names\:route"' \
			'--fallback[where mail goes that the route could not take\: native, a profile, or none (default)]:ROUTE: _byway_may_be "names\:route"' \
			':DOMAIN: _byway_may_be "names\:domain"' ;;
	'domain records')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--zone[as lines of a zone file]' \
			':DOMAIN: _byway_may_be "names\:domain"' ;;
	'domain verify')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':DOMAIN: _byway_may_be "names\:domain"' ;;
	'domain remove')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--whole[with all that hangs on it]' \
			'--yes[do not ask]' \
			':DOMAIN: _byway_may_be "names\:domain"' ;;
	'profile add')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--provider[whose server it is\: a preset, see byway provider list (default custom)]:PROVIDER: _byway_may_be "names\:provider"' \
			'--transport[smtp (default), or api\: the provider'\''s HTTP API]:HOW: _byway_may_be "smtp api"' \
			'--region[of the preset'\''s hosts\: eu for instance]:REGION: _byway_may_be ""' \
			'--host[the server'\''s name, which its certificate must hold; default\: the preset'\''s]:HOST: _byway_may_be ""' \
			'--port[default\: the preset'\''s; 465 with implicit TLS, 587 with STARTTLS, 25 without]:PORT: _byway_may_be ""' \
			'--tls[starttls (default; required, not tried), implicit (default on port 465), none]:MODE: _byway_may_be "none starttls implicit"' \
			'--username[login there; default\: what everybody logs in with there; none\: no AUTH]:NAME: _byway_may_be ""' \
			'--auth[password (default), or oauth2\: the password is then the client'\''s secret]:HOW: _byway_may_be "password oauth2"' \
			'--oauth-client[OAuth2\: the client'\''s id]:ID: _byway_may_be ""' \
			'--oauth-scope[OAuth2\: what is asked for; default\: the preset'\''s]:SCOPE: _byway_may_be ""' \
			'--token-endpoint[OAuth2\: where tokens are had; default\: the preset'\''s]:URL: _byway_may_be ""' \
			'--ca[PEM file with a private CA; '\'''\'' for none]:FILE: _byway_may_be "file"' \
			'--pin[the server'\''s certificate and no other\: SHA-256 in hex]:SHA256: _byway_may_be ""' \
			'--keep-headers[the provider'\''s option headers that may pass, blank-separated]:NAMES: _byway_may_be ""' \
			'--max-connections[at once, over all workers; 0\: the preset'\''s, or as configured (default)]:N: _byway_may_be ""' \
			'--messages-per-connection[0\: the preset'\''s, or as configured (default)]:N: _byway_may_be ""' \
			'--per-minute[messages a minute; 0\: the preset'\''s (default)]:N: _byway_may_be ""' \
			'--on-quota[a quota used up there\: defer, reject, or default, as configured]:WHAT: _byway_may_be "default defer reject"' \
			'--strict[an API that takes messages apart\: refuse (554 5.6.3) what could go on only when mended]:yes|no: _byway_may_be "yes no"' \
			'--old-tls[offer ciphers with CBC and the key exchange by RSA too, which RFC 9325 advises against\: for a server that has nothing better]:yes|no: _byway_may_be "yes no"' \
			'--domain[mailgun\: the sending domain; the user name is postmaster@DOMAIN then, or DOMAIN with --transport api]:DOMAIN: _byway_may_be "names\:domain"' \
			'--force[take a port whose usual TLS mode is another]' \
			'--password-stdin[take the password from standard input (one line)]' \
			'--password-file[take the password from a file that only you can read]:FILE: _byway_may_be "file"' \
			':ACCOUNT/PROFILE: _byway_may_be "names\:profile"' ;;
	'profile list')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--account[of this account only]:ACCOUNT: _byway_may_be "names\:account"' ;;
	'profile show')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':ACCOUNT/PROFILE: _byway_may_be "names\:profile"' ;;
	'profile set')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--provider[whose server it is\: a preset, see byway provider list (default custom)]:PROVIDER: _byway_may_be "names\:provider"' \
			'--transport[smtp (default), or api\: the provider'\''s HTTP API]:HOW: _byway_may_be "smtp api"' \
			'--host[the server'\''s name, which its certificate must hold; default\: the preset'\''s]:HOST: _byway_may_be ""' \
			'--port[default\: the preset'\''s; 465 with implicit TLS, 587 with STARTTLS, 25 without]:PORT: _byway_may_be ""' \
			'--tls[starttls (default; required, not tried), implicit (default on port 465), none]:MODE: _byway_may_be "none starttls implicit"' \
			'--username[login there; default\: what everybody logs in with there; none\: no AUTH]:NAME: _byway_may_be ""' \
			'--auth[password (default), or oauth2\: the password is then the client'\''s secret]:HOW: _byway_may_be "password oauth2"' \
			'--oauth-client[OAuth2\: the client'\''s id]:ID: _byway_may_be ""' \
			'--oauth-scope[OAuth2\: what is asked for; default\: the preset'\''s]:SCOPE: _byway_may_be ""' \
			'--token-endpoint[OAuth2\: where tokens are had; default\: the preset'\''s]:URL: _byway_may_be ""' \
			'--ca[PEM file with a private CA; '\'''\'' for none]:FILE: _byway_may_be "file"' \
			'--pin[the server'\''s certificate and no other\: SHA-256 in hex]:SHA256: _byway_may_be ""' \
			'--keep-headers[the provider'\''s option headers that may pass, blank-separated]:NAMES: _byway_may_be ""' \
			'--max-connections[at once, over all workers; 0\: the preset'\''s, or as configured (default)]:N: _byway_may_be ""' \
			'--messages-per-connection[0\: the preset'\''s, or as configured (default)]:N: _byway_may_be ""' \
			'--per-minute[messages a minute; 0\: the preset'\''s (default)]:N: _byway_may_be ""' \
			'--on-quota[a quota used up there\: defer, reject, or default, as configured]:WHAT: _byway_may_be "default defer reject"' \
			'--strict[an API that takes messages apart\: refuse (554 5.6.3) what could go on only when mended]:yes|no: _byway_may_be "yes no"' \
			'--old-tls[offer ciphers with CBC and the key exchange by RSA too, which RFC 9325 advises against\: for a server that has nothing better]:yes|no: _byway_may_be "yes no"' \
			'--force[take a port whose usual TLS mode is another]' \
			'--password-stdin[take the password from standard input (one line)]' \
			'--password-file[take the password from a file that only you can read]:FILE: _byway_may_be "file"' \
			':ACCOUNT/PROFILE: _byway_may_be "names\:profile"' ;;
	'profile passwd')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--password-stdin[take the password from standard input (one line)]' \
			'--password-file[take the password from a file that only you can read]:FILE: _byway_may_be "file"' \
			':ACCOUNT/PROFILE: _byway_may_be "names\:profile"' ;;
	'profile authorize')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--token-stdin[take a refresh token that was had elsewhere from standard input]' \
			'--port[of 127.0.0.1, where the browser comes back to (default\: any)]:PORT: _byway_may_be ""' \
			'--consent[of the page that asks for consent (default\: the provider'\''s)]:URL: _byway_may_be ""' \
			':ACCOUNT/PROFILE: _byway_may_be "names\:profile"' ;;
	'profile health')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--socket[the daemon'\''s control socket (default what the configuration says)]:PATH: _byway_may_be "file"' \
			':ACCOUNT/PROFILE: _byway_may_be "names\:profile"' ;;
	'profile test')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--provider[whose server it is\: a preset, see byway provider list (default custom)]:PROVIDER: _byway_may_be "names\:provider"' \
			'--transport[smtp (default), or api\: the provider'\''s HTTP API]:HOW: _byway_may_be "smtp api"' \
			'--region[of the preset'\''s hosts\: eu for instance]:REGION: _byway_may_be ""' \
			'--host[the server'\''s name, which its certificate must hold; default\: the preset'\''s]:HOST: _byway_may_be ""' \
			'--port[default\: the preset'\''s; 465 with implicit TLS, 587 with STARTTLS, 25 without]:PORT: _byway_may_be ""' \
			'--tls[starttls (default; required, not tried), implicit (default on port 465), none]:MODE: _byway_may_be "none starttls implicit"' \
			'--username[login there; default\: what everybody logs in with there; none\: no AUTH]:NAME: _byway_may_be ""' \
			'--auth[password (default), or oauth2\: the password is then the client'\''s secret]:HOW: _byway_may_be "password oauth2"' \
			'--oauth-client[OAuth2\: the client'\''s id]:ID: _byway_may_be ""' \
			'--oauth-scope[OAuth2\: what is asked for; default\: the preset'\''s]:SCOPE: _byway_may_be ""' \
			'--token-endpoint[OAuth2\: where tokens are had; default\: the preset'\''s]:URL: _byway_may_be ""' \
			'--ca[PEM file with a private CA; '\'''\'' for none]:FILE: _byway_may_be "file"' \
			'--pin[the server'\''s certificate and no other\: SHA-256 in hex]:SHA256: _byway_may_be ""' \
			'--keep-headers[the provider'\''s option headers that may pass, blank-separated]:NAMES: _byway_may_be ""' \
			'--max-connections[at once, over all workers; 0\: the preset'\''s, or as configured (default)]:N: _byway_may_be ""' \
			'--messages-per-connection[0\: the preset'\''s, or as configured (default)]:N: _byway_may_be ""' \
			'--per-minute[messages a minute; 0\: the preset'\''s (default)]:N: _byway_may_be ""' \
			'--on-quota[a quota used up there\: defer, reject, or default, as configured]:WHAT: _byway_may_be "default defer reject"' \
			'--strict[an API that takes messages apart\: refuse (554 5.6.3) what could go on only when mended]:yes|no: _byway_may_be "yes no"' \
			'--old-tls[offer ciphers with CBC and the key exchange by RSA too, which RFC 9325 advises against\: for a server that has nothing better]:yes|no: _byway_may_be "yes no"' \
			'--domain[mailgun\: the sending domain; the user name is postmaster@DOMAIN then, or DOMAIN with --transport api]:DOMAIN: _byway_may_be "names\:domain"' \
			'--to[send a message there; without it the test ends after AUTH]:ADDRESS: _byway_may_be ""' \
			'--from[as this sender (default\: the user name, or the address of --to)]:ADDRESS: _byway_may_be ""' \
			'--check-only[with --to\: MAIL and RCPT, no content]' \
			'--own[the server is your own, so it may be in any network\: with --host, as for an \[mta\]]' \
			'--transcript[show all that was said, secrets aside]' \
			'--password-stdin[take the password from standard input (one line)]' \
			'--password-file[take the password from a file that only you can read]:FILE: _byway_may_be "file"' \
			':\[ACCOUNT/PROFILE\]: _byway_may_be "names\:profile"' ;;
	'profile remove')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--yes[do not ask]' \
			':ACCOUNT/PROFILE: _byway_may_be "names\:profile"' ;;
	'provider list')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' ;;
	'provider show')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':PROVIDER: _byway_may_be "names\:provider"' ;;
	'route set')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--fallback[where mail goes that the route could not take\: native, a profile, or none; not said\: as it was]:ROUTE: _byway_may_be "names\:route"' \
			':ACCOUNT|DOMAIN: _byway_may_be "names\:account names\:domain"' \
			':ROUTE: _byway_may_be "names\:route"' ;;
	'route add')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--fallback[where mail goes that the route could not take\: native, a profile, or none; not said\: as it was]:ROUTE: _byway_may_be "names\:route"' \
			':ACCOUNT|DOMAIN: _byway_may_be "names\:account names\:domain"' \
			':ROUTE: _byway_may_be "names\:route"' ;;
	'route list')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' ;;
	'route show')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':ACCOUNT|DOMAIN: _byway_may_be "names\:account names\:domain"' ;;
	'route remove')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':ACCOUNT|DOMAIN: _byway_may_be "names\:account names\:domain"' ;;
	'ip add')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--account[whose it is]:ACCOUNT: _byway_may_be "names\:account"' \
			'--state[active (default) or blocked]:STATE: _byway_may_be "active paused-owner paused-admin paused-abuse blocked"' \
			'--sandboxed[mail is accepted and discarded\: a test lane (default no)]:yes|no: _byway_may_be "yes no"' \
			'--rate-per-minute[speed limit; 0\: none (default)]:N: _byway_may_be ""' \
			':NETWORK: _byway_may_be "names\:ip"' ;;
	'ip list')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--account[of this account only]:ACCOUNT: _byway_may_be "names\:account"' ;;
	'ip show')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':NETWORK: _byway_may_be "names\:ip"' ;;
	'ip set')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--state[active (default) or blocked]:STATE: _byway_may_be "active paused-owner paused-admin paused-abuse blocked"' \
			'--sandboxed[mail is accepted and discarded\: a test lane (default no)]:yes|no: _byway_may_be "yes no"' \
			'--rate-per-minute[speed limit; 0\: none (default)]:N: _byway_may_be ""' \
			':NETWORK: _byway_may_be "names\:ip"' ;;
	'ip remove')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--yes[do not ask]' \
			':NETWORK: _byway_may_be "names\:ip"' ;;
	'ip block')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':NETWORK: _byway_may_be "names\:ip"' ;;
	'ip unblock')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':NETWORK: _byway_may_be "names\:ip"' ;;
	'plan add')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--can-send[may send by the native pool; an own upstream is open to all plans (default yes)]:yes|no: _byway_may_be "yes no"' \
			'--unit[what is counted\: recipients (default) or messages]:UNIT: _byway_may_be "recipients messages"' \
			'--mailbox-day[a day, each mailbox; 0\: no limit (default)]:N: _byway_may_be ""' \
			'--account-day[a day, the whole account; 0\: no limit (default)]:N: _byway_may_be ""' \
			'--account-hour[an hour, the whole account; 0\: no limit (default)]:N: _byway_may_be ""' \
			'--recipients[recipients of one message (default 100)]:N: _byway_may_be ""' \
			'--size-max[size of one message, 25M for instance (the default)]:OCTETS: _byway_may_be ""' \
			'--monthly[monthly allowance; 0\: no limit (default)]:N: _byway_may_be ""' \
			'--senders[whose names mail may bear\: own (default)\: the account'\''s domains; verified\: From\: only; any]:WHOSE: _byway_may_be "own verified any"' \
			':PLAN: _byway_may_be "names\:plan"' ;;
	'plan list')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' ;;
	'plan show')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':PLAN: _byway_may_be "names\:plan"' ;;
	'plan set')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--can-send[may send by the native pool; an own upstream is open to all plans (default yes)]:yes|no: _byway_may_be "yes no"' \
			'--unit[what is counted\: recipients (default) or messages]:UNIT: _byway_may_be "recipients messages"' \
			'--mailbox-day[a day, each mailbox; 0\: no limit (default)]:N: _byway_may_be ""' \
			'--account-day[a day, the whole account; 0\: no limit (default)]:N: _byway_may_be ""' \
			'--account-hour[an hour, the whole account; 0\: no limit (default)]:N: _byway_may_be ""' \
			'--recipients[recipients of one message (default 100)]:N: _byway_may_be ""' \
			'--size-max[size of one message, 25M for instance (the default)]:OCTETS: _byway_may_be ""' \
			'--monthly[monthly allowance; 0\: no limit (default)]:N: _byway_may_be ""' \
			'--senders[whose names mail may bear\: own (default)\: the account'\''s domains; verified\: From\: only; any]:WHOSE: _byway_may_be "own verified any"' \
			':PLAN: _byway_may_be "names\:plan"' ;;
	'plan remove')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--yes[do not ask]' \
			':PLAN: _byway_may_be "names\:plan"' ;;
	'explain')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--socket[the daemon'\''s control socket (default what the configuration says)]:PATH: _byway_may_be "file"' \
			'--to[whom the mail is for\: refusals of that recipient'\''s server are told]:ADDRESS: _byway_may_be ""' \
			'--all[all ten checks, not the first that fails alone]' \
			':MAILBOX: _byway_may_be "names\:mailbox"' ;;
	'usage')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--socket[the daemon'\''s control socket (default what the configuration says)]:PATH: _byway_may_be "file"' \
			':MAILBOX|ACCOUNT: _byway_may_be "names\:mailbox names\:account"' ;;
	'limits show')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--socket[the daemon'\''s control socket (default what the configuration says)]:PATH: _byway_may_be "file"' \
			':MAILBOX|ACCOUNT: _byway_may_be "names\:mailbox names\:account"' ;;
	'limits reset')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--socket[the daemon'\''s control socket (default what the configuration says)]:PATH: _byway_may_be "file"' \
			':MAILBOX|ACCOUNT: _byway_may_be "names\:mailbox names\:account"' ;;
	'trace')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--log[another log than the configuration'\''s; its rotated neighbours are read, too]:FILE: _byway_may_be "file"' \
			':ID: _byway_may_be ""' ;;
	'forgive')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--socket[the daemon'\''s control socket (default what the configuration says)]:PATH: _byway_may_be "file"' \
			':LOGIN: _byway_may_be "names\:mailbox"' ;;
	'suspend')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--reason[why]:billing|deliverability|abuse: _byway_may_be "billing deliverability abuse"' \
			':ACCOUNT: _byway_may_be "names\:account"' ;;
	'resume')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':MAILBOX|ACCOUNT: _byway_may_be "names\:mailbox names\:account"' ;;
	'pause')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--by[who pauses it (default admin)]:owner|admin|abuse: _byway_may_be "owner admin abuse"' \
			':MAILBOX: _byway_may_be "names\:mailbox"' ;;
	'verify')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':ACCOUNT: _byway_may_be "names\:account"' ;;
	'block')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':MAILBOX|NETWORK: _byway_may_be "names\:mailbox names\:ip"' ;;
	'unblock')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':MAILBOX|NETWORK: _byway_may_be "names\:mailbox names\:ip"' ;;
	'backup')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--passphrase-file[the passphrase that seals the key ring; else BYWAY_PASSPHRASE of the environment, or it is asked for]:FILE: _byway_may_be "file"' \
			'--without-ring[leave the key ring out]' \
			':FILE: _byway_may_be "file"' ;;
	'restore')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--to[a folder that is not there yet, or is empty]:DIR: _byway_may_be ""' \
			'--passphrase-file[the passphrase of the backup; else as in byway backup]:FILE: _byway_may_be "file"' \
			'--without-ring[leave the key ring in the backup]' \
			':FILE: _byway_may_be "file"' ;;
	'export')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--brief[leave out what a new row would have anyway]' \
			'--hashes[write the hashes of mailboxes'\'' passwords too, so that they go on; FILE is closed to others then]' \
			':\[FILE\]: _byway_may_be "file"' ;;
	'apply')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--dry-run[show the difference and change nothing]' \
			'--prune[remove what the file does not name (plans only if it names any)]' \
			'--passwords[set the file'\''s passwords for those that have one already, too]' \
			'--generate[make passwords for new mailboxes that the file gives none, and print them once]' \
			'--passwords-later[new profiles may come without the password that they need; byway profile set gives it]' \
			'--yes[do not ask]' \
			':FILE: _byway_may_be "file"' ;;
	'import mailboxes')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--map[which columns are what\: address=Email,password=Passwort]:LIST: _byway_may_be ""' \
			'--generate[make passwords where the file gives none, and print them once]' \
			'--passwords-to[make them, and write them to a new file of mode 0600\: ADDRESS,PASSWORD]:FILE: _byway_may_be "file"' \
			'--account[add the domains, too, as this account'\''s]:ACCOUNT: _byway_may_be "names\:account"' \
			'--dry-run[show the difference and change nothing]' \
			'--passwords[set the file'\''s passwords for those that have one already, too]' \
			'--yes[do not ask]' \
			':FILE: _byway_may_be "file"' ;;
	'import passwd-file')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--domain[of users without one]:DOMAIN: _byway_may_be "names\:domain"' \
			'--account[add the domains, too, as this account'\''s]:ACCOUNT: _byway_may_be "names\:account"' \
			'--dry-run[show the difference and change nothing]' \
			'--passwords[set the file'\''s passwords for those that have one already, too]' \
			'--yes[do not ask]' \
			':FILE: _byway_may_be "file"' ;;
	'check')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--online[look too whether names, counter servers and the native pool'\''s servers answer, and at the clock]' ;;
	'config check')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--online[look too whether names, counter servers and the native pool'\''s servers answer, and at the clock]' ;;
	'config print')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--changed[only what is not the default]' \
			'--origins[the file and line of each value, or that it is the default]' ;;
	'config options')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' ;;
	'replies print')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':\[PROFILE\]: _byway_may_be ""' ;;
	'reload')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--socket[the daemon'\''s control socket (default what the configuration says)]:PATH: _byway_may_be "file"' ;;
	'status')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--socket[the daemon'\''s control socket (default what the configuration says)]:PATH: _byway_may_be "file"' \
			'--all[counters that are zero, too]' ;;
	'reopen')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--socket[the daemon'\''s control socket (default what the configuration says)]:PATH: _byway_may_be "file"' ;;
	'drain')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--socket[the daemon'\''s control socket (default what the configuration says)]:PATH: _byway_may_be "file"' ;;
	'key list')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' ;;
	'key rotate')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' ;;
	'key reseal')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' ;;
	'password')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			'--password-stdin[take the password from standard input (one line)]' \
			'--password-file[take the password from a file that only you can read]:FILE: _byway_may_be "file"' ;;
	'help')
		_arguments -S '--config[the configuration to read (default /etc/byway/byway.ini); -c for short]:PATH: _byway_may_be "file"' \
			'--json[one JSON object or array instead of text; errors are {"error"\: ...}]' \
			'--help[what the command does, with an example; -h for short]' \
			'-c[configuration]:PATH:_files' \
			':\[COMMAND: _byway_may_be "init setup account mailbox domain profile provider route ip plan explain usage limits trace forgive suspend resume pause verify block unblock backup restore export apply import check config replies reload status reopen drain key password help"' ;;
	esac
}

_byway "$@"
