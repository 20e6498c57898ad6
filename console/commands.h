/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_COMMANDS_H
#define CONSOLE_COMMANDS_H

/*
 * commands - what the rows of cli_commands[] call; one file a family (cmd_*.c)
 */
#include "console/kind.h"

cli_fn cmd_init, cmd_setup;
cli_fn cmd_mailbox_devices;
cli_fn cmd_import_mailboxes, cmd_import_passwd_file;
cli_fn cmd_domain_verify, cmd_domain_records;
cli_fn cmd_add, cmd_list, cmd_show, cmd_set, cmd_remove, cmd_passwd;
cli_fn cmd_authorize;
cli_fn cmd_route_list, cmd_route_show, cmd_route_set, cmd_route_remove;
cli_fn cmd_export, cmd_apply;
cli_fn cmd_backup, cmd_restore;
cli_fn cmd_profile_test, cmd_profile_health;
cli_fn cmd_provider_list, cmd_provider_show;
cli_fn cmd_check, cmd_config_print, cmd_config_options;
cli_fn cmd_replies_print;
cli_fn cmd_explain, cmd_usage, cmd_limits_show, cmd_limits_reset, cmd_forgive;
cli_fn cmd_trace;
cli_fn cmd_suspend, cmd_resume, cmd_pause, cmd_verify, cmd_block, cmd_unblock;
cli_fn cmd_reload, cmd_status, cmd_reopen, cmd_drain;
cli_fn cmd_key_list, cmd_key_rotate, cmd_key_reseal;
cli_fn cmd_password, cmd_help;
cli_fn cmd_names;

#endif
