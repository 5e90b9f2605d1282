// What the agent logs, with an explanation for the operator. Constants.
#pragma once

#include "base/log.h"

namespace bridgehead::host_agent::messages {

inline constexpr log::Message agent_started{"AGENT_STARTED",
                                            "The agent runs: its journal is read, guests are watched."};
inline constexpr log::Message agent_stopping{"AGENT_STOPPING",
                                             "The agent was asked to stop. Guests are left as they are."};
inline constexpr log::Message falls_asleep{"FALLS_ASLEEP", "The machine is put to sleep; its memory keeps all."};
inline constexpr log::Message is_awake{"IS_AWAKE", "The machine slept and is awake again."};
inline constexpr log::Message sleep_failed{
    "SLEEP_FAILED",
    "The kernel could not put the machine to sleep: a device or a program held it up (dmesg says which)."};
inline constexpr log::Message manager_connected{"MANAGER_CONNECTED",
                                                "The stream to the manager is open; this node is reachable."};
inline constexpr log::Message manager_away{
    "MANAGER_AWAY",
    "The manager can't be reached or ended the stream. The agent keeps trying; guests are not affected."};
inline constexpr log::Message manager_message_refused{
    "MANAGER_MESSAGE_REFUSED",
    "A message of the manager could not be understood and was left out; versions may differ."};
inline constexpr log::Message certificate_renewed{
    "CERTIFICATE_RENEWED", "The node has a new certificate; the stream is opened again with it."};
inline constexpr log::Message certificate_renewal_failed{
    "CERTIFICATE_RENEWAL_FAILED",
    "The manager did not renew this node's certificate. It is tried again; when it ends, the node must join again."};
inline constexpr log::Message assignment_received{"ASSIGNMENT_RECEIVED", "The manager gave this node a piece of work."};
inline constexpr log::Message assignment_resumed{
    "ASSIGNMENT_RESUMED", "Work that an earlier run of the agent had not finished is carried out again to its end."};
inline constexpr log::Message assignment_finished{"ASSIGNMENT_FINISHED", "A piece of work ended; the manager is told."};
inline constexpr log::Message assignment_failed{"ASSIGNMENT_FAILED",
                                                "A piece of work failed; the manager and the user get this reason."};
inline constexpr log::Message journal_failed{
    "JOURNAL_FAILED", "The agent's journal could not be written (is the disk of its state directory full?)."};
inline constexpr log::Message cleanup_incomplete{
    "CLEANUP_INCOMPLETE", "After a failed create a part could not be removed; it is tried again with the next delete."};
inline constexpr log::Message undo_kept_disks{
    "UNDO_KEPT_DISKS",
    "A create that had failed was undone later, when the guest was already leased anew; its disks there stay."};
inline constexpr log::Message pool_not_ready{"POOL_NOT_READY", "A pool can't be used on this node, and why."};
inline constexpr log::Message pool_ready{"POOL_READY", "A pool can be used on this node."};
inline constexpr log::Message network_not_ready{"NETWORK_NOT_READY", "A network can't be used on this node, and why."};
inline constexpr log::Message hypervisor_away{
    "HYPERVISOR_AWAY", "Guests can't be watched or started now, and what to do; the agent goes on without."};
inline constexpr log::Message hypervisor_ready{"HYPERVISOR_READY", "Guests can be watched and started on this node."};
inline constexpr log::Message guest_autostarted{"GUEST_AUTOSTARTED", "A guest was started after this node's reboot."};
inline constexpr log::Message guest_autostart_failed{"GUEST_AUTOSTART_FAILED",
                                                     "A guest could not be started after this node's reboot, and why."};
inline constexpr log::Message guest_not_resumed{
    "GUEST_NOT_RESUMED", "A guest that has moved here could not go on at once, and why; the manager lets it go on."};
inline constexpr log::Message secrets_written{"SECRETS_WRITTEN",
                                              "The secret files that the manager sent are in their places."};
inline constexpr log::Message secrets_not_written{
    "SECRETS_NOT_WRITTEN",
    "A secret file can't be written, and why. The node isn't ready meanwhile; it is tried again every minute."};
inline constexpr log::Message migration_refused{
    "MIGRATION_REFUSED", "A connection for a migrating guest was not let through, and why; its migration fails then."};
inline constexpr log::Message disk_copy_left{"DISK_COPY_LEFT",
                                             "A disk was moved to another pool, or that was given up, and its file in "
                                             "the pool where it isn't any more could not "
                                             "be removed, or its lease stamp, and why. Nothing uses it: remove it by "
                                             "hand, or let it be; it is replaced when the "
                                             "disk comes back there."};
inline constexpr log::Message leases_unreadable{"LEASES_UNREADABLE",
                                                "What this node kept of the leases of guests that stop when it is "
                                                "alone can't be read; such guests run on as others."};
inline constexpr log::Message no_watchdog{
    "NO_WATCHDOG", "Guests can't be stopped when this node is alone, since it has no watchdog that works, and why."};
inline constexpr log::Message watchdog_armed{
    "WATCHDOG_ARMED",
    "This host is reset when its agent doesn't feed the watchdog: guests that stop when it is alone run."};
inline constexpr log::Message watchdog_stays_armed{
    "WATCHDOG_STAYS_ARMED",
    "The agent ends while guests run that stop when this node is alone, and the host is reset unless the agent is "
    "started again within ten seconds."};
inline constexpr log::Message terms_not_stamped{
    "LEASE_TERMS_NOT_STAMPED",
    "The stamp beside a guest's disks should say whether the guest stops when its node is alone, and why it doesn't "
    "yet. It is tried again; until then the guest isn't taken from here by time, and stops as before."};
inline constexpr log::Message guest_stopped_alone{
    "GUEST_STOPPED_ALONE",
    "A guest is stopped before its lease ends: neither the manager nor the shared pool prolonged it, so that it may "
    "start on another node."};
inline constexpr log::Message guest_not_stopped{
    "GUEST_NOT_STOPPED",
    "A guest whose lease ends could not be stopped, and why; it is tried again, then the watchdog resets this host."};
inline constexpr log::Message upgrade_begins{
    "UPGRADE_BEGINS",
    "The manager has sent another version of the agent's package, which is installed now; guests run on."};
inline constexpr log::Message upgrade_done{"UPGRADE_DONE",
                                           "The new agent is connected to the manager; its package stays."};
inline constexpr log::Message upgrade_goes_back{
    "UPGRADE_GOES_BACK",
    "The new agent's package couldn't be installed, or it didn't come to the manager; the one before is installed."};
inline constexpr log::Message upgrade_not_noted{
    "UPGRADE_NOT_NOTED",
    "The new agent couldn't write that it is well, and why; it is taken for one that isn't, and the one before comes "
    "back."};
inline constexpr log::Message tunnel_failed{"TUNNEL_FAILED",
                                            "A console, VNC, upload or download could not be carried, and why."};

}  // namespace bridgehead::host_agent::messages
