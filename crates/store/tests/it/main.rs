//! One conformance suite, run on every backend: what the store promises, whichever database keeps it.
//!
//! PostgreSQL runs when `TEST_POSTGRES_DOORWARD` holds the URL of a server on which databases may be created
//! (`scripts/postgres` starts one); otherwise each of its tests says that it did not run.
#![cfg(test)]

mod attempts;
mod bench;
mod blocks;
mod budgets;
mod connections;
mod credentials;
mod devices;
mod documents;
mod exchanged;
mod grants;
mod logout;
mod opening;
mod proofs;
mod races;
mod sealed;
mod seen;
mod sessions;
mod single;
mod tasks;

/// Runs each case on SQLite and, if there is a server, on PostgreSQL.
macro_rules! on_every_backend {
    ($($room:ident::$case:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::$room::$case(&crate::bench::Bench::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                match crate::bench::Bench::postgres().await {
                    Some(bench) => {
                        crate::$room::$case(&bench).await;
                        bench.drop_database().await;
                    }
                    None => eprintln!("not run: TEST_POSTGRES_DOORWARD is not set"),
                }
            })*
        }
    };
}

on_every_backend! {
    connections::an_account_comes_back_and_is_its_owners_alone,
    connections::oc_01_another_account_takes_the_place_of_the_first,
    connections::oc_07_one_of_fifty_renews_it_and_what_it_renewed_stays,
    connections::oc_07_a_holder_that_died_is_followed_by_another,
    connections::oc_08_a_connection_that_is_over_says_so_once,
    connections::oc_09_what_is_taken_away_is_told_to_its_provider,
    connections::vlt_02_what_is_kept_opens_in_its_own_place_alone,
    connections::vlt_01_nothing_of_it_is_readable,
    credentials::a_key_comes_back_as_it_was_recorded,
    credentials::a_key_is_listed_without_its_digest_and_touched,
    credentials::people_are_found_by_a_part_of_their_name_and_counted,
    credentials::a_revoked_key_says_so_and_raises_the_epoch,
    credentials::a_disabled_user_is_seen_on_every_credential_and_raises_the_epoch,
    credentials::rs_08_users_are_listed_with_their_standing,
    credentials::rs_08_a_provider_describes_a_user_anew,
    credentials::rs_08_a_group_is_taken_at_once_and_only_from_who_is_known,
    credentials::groups_are_those_of_the_user_now,
    credentials::an_access_token_comes_back_and_is_revoked_with_its_grant,
    credentials::records_that_are_not_fresh_are_refused,
    credentials::users_whose_printed_forms_are_equal_stay_apart,
    credentials::impossible_rows_are_errors_that_name_them,
    credentials::times_beyond_the_column_are_refused,
    grants::tk_06_one_of_fifty_redeems_a_code_and_stays_signed_in,
    grants::tk_06_fifty_refreshes_give_one_successor,
    grants::tk_05_a_refresh_token_that_comes_late_ends_its_line,
    grants::tk_01_a_code_that_comes_again_ends_what_it_gave,
    grants::a_request_is_decided_once_whatever_is_decided,
    grants::tk_08_no_token_outlives_the_consent,
    grants::tk_07_nothing_is_given_for_somebody_who_may_not_act,
    grants::az_12_a_consent_is_taken_back_by_its_owner_alone,
    grants::az_12_what_is_issued_while_a_consent_is_withdrawn_is_dead_as_well,
    grants::tk_05_one_client_takes_no_room_from_the_others,
    grants::ui_04_a_link_is_taken_by_one_of_fifty,
    grants::ui_01_a_browser_is_signed_in_until_it_is_not,
    proofs::tk_13_a_code_that_was_asked_for_with_a_key_is_redeemed_with_it_alone,
    proofs::tk_13_a_bound_consent_goes_on_with_its_key_and_others_end_nothing,
    proofs::tk_13_what_becomes_bound_leaves_nothing_unbound_behind,
    proofs::tk_13_a_proof_hides_no_theft_of_a_refresh_token,
    proofs::tk_13_a_proof_is_used_up_by_one_of_fifty,
    proofs::tk_13_used_proofs_are_swept_when_no_clock_takes_them_any_more,
    devices::dev_03_one_of_fifty_fetches_what_was_allowed,
    devices::dev_05_a_request_is_decided_by_one_of_fifty,
    devices::dev_04_polls_keep_one_pace_on_all_replicas,
    devices::dev_04_those_that_wait_have_a_cap,
    blocks::rs_11_a_block_is_known_to_every_replica_at_once_and_lifted_once,
    blocks::rs_11_what_cannot_be_a_block_changes_nothing,
    blocks::rs_11_fifty_blocks_at_once_are_one,
    blocks::what_was_done_from_outside_waits_for_a_record,
    blocks::ses_06_a_session_that_was_ended_is_nobodys_at_any_replica,
    blocks::ses_06_a_person_is_signed_out_everywhere_and_nobody_else_is,
    blocks::ses_06_a_client_is_found_by_its_digest_among_any_number_of_newer_sessions,
    blocks::clients_are_known_by_what_they_were_given,
    logout::ui_01_a_logout_at_a_provider_ends_what_it_names_and_nothing_else,
    logout::ui_05_one_of_fifty_that_bring_a_logout_token_ends_something,
    logout::ui_05_whoever_is_on_their_way_when_they_sign_out_does_not_come_in,
    logout::ui_05_a_sign_in_that_meets_its_end_is_none,
    logout::tk_07_a_logout_that_the_database_ended_for_another_is_done_all_the_same,
    logout::tk_07_a_logout_that_reaches_consents_takes_back_all_that_its_person_allowed,
    sessions::a_session_comes_back_as_it_was_opened,
    sessions::ses_02_a_session_is_seen_by_its_owner_alone,
    sessions::a_use_moves_forward_only,
    sessions::the_upstream_session_is_replaced_only_from_what_it_is,
    sessions::ses_07_the_cap_holds_for_each_user,
    sessions::ses_07_everybody_together_has_a_cap_and_the_owners_own_is_told_first,
    sessions::expired_sessions_are_swept_in_batches,
    tasks::a_task_is_seen_and_listed_by_its_owner_alone,
    tasks::tasks_have_a_cap_and_are_swept,
    tasks::ended_keys_tokens_and_forgotten_users_are_swept,
    seen::pol_05_what_was_seen_is_known_to_every_replica_at_once,
    seen::pol_05_what_was_seen_is_remembered_from_the_last_time_on,
    seen::pol_05_what_was_seen_survives_a_restart,
    single::an_id_is_consumed_once_until_it_expires,
    single::consumed_ids_survive_a_restart,
    single::approvals_come_back_and_raise_the_epoch,
    single::launches_are_approved_by_digest_and_server,
    single::the_epoch_only_rises_and_every_replica_sees_it,
    single::flt_07_what_was_used_stays_used_for_a_clock_that_is_behind,
    attempts::an_attempt_is_of_its_owner_alone_and_takes_what_was_nobodys,
    attempts::later_steps_find_their_attempt_by_consent_and_code,
    attempts::fifty_that_tell_at_once_lose_nothing,
    attempts::strangers_fill_nothing_and_push_nobody_out,
    attempts::reg_02_what_is_kept_of_a_client_is_short_and_old_attempts_go,
    budgets::pol_07_a_budget_is_taken_by_all_replicas_together,
    budgets::pol_07_fifty_at_once_take_no_more_than_there_is,
    budgets::pol_07_a_window_of_another_limit_holds_nobody_up,
    budgets::flt_07_the_databases_own_clock_is_told,
    races::flt_09_an_id_is_consumed_by_one_of_fifty,
    races::flt_09_an_expired_id_is_taken_over_by_one_of_fifty,
    races::a_value_is_swapped_by_one_of_fifty,
    races::an_upstream_session_is_replaced_by_one_of_fifty,
    races::a_session_is_ended_by_one_of_fifty,
    races::a_key_is_revoked_by_one_of_fifty,
    races::ses_07_the_cap_holds_against_fifty_at_once,
    races::the_cap_of_tasks_holds_against_fifty_at_once,
    races::fifty_raises_are_fifty_epochs,
    races::a_call_dropped_anywhere_is_done_whole_or_not_at_all,
    exchanged::tk_10_a_chain_is_read_back_and_ends_from_its_beginning,
    exchanged::tk_10_no_client_takes_the_room_of_its_person,
    exchanged::tk_10_an_exchange_that_meets_the_end_leaves_nothing,
    documents::reg_07_a_copy_is_replaced_by_a_later_one_only,
    documents::reg_08_copies_do_not_grow_beyond_their_number,
    sealed::a_value_comes_back_with_its_version,
    sealed::versions_are_never_repeated,
    sealed::an_owner_sees_their_own_values_alone,
    sealed::vlt_02_a_ciphertext_moved_to_another_place_does_not_open,
    sealed::vlt_02_an_upstream_session_moved_to_another_place_does_not_open,
    sealed::vlt_02_a_task_moved_to_another_place_does_not_open,
    sealed::values_have_caps,
    sealed::vlt_01_nothing_readable_at_rest,
    opening::vlt_03_another_key_is_noticed,
    opening::vlt_03_a_removed_marker_is_no_new_store,
    opening::migrations_run_once_and_unknown_ones_stop_the_start,
    opening::two_programs_may_open_a_new_store_at_once,
    opening::a_closed_store_is_unavailable,
}
