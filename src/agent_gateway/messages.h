// The log messages of agent_gateway, each with what it means for the operator.
#pragma once

#include "base/log.h"

namespace bridgehead::agent_gateway {

inline constexpr log::Message gateway_listening{"GATEWAY_LISTENING", "Agents can dial in at this address."};
inline constexpr log::Message agent_connected{"AGENT_CONNECTED", "An agent's stream is open and its report was taken."};
inline constexpr log::Message agent_disconnected{
    "AGENT_DISCONNECTED", "An agent's stream has ended. Its guests keep running; it dials again by itself."};
inline constexpr log::Message agent_gone{"AGENT_GONE",
                                         "A machine with a node's identity boots, and the node's agent gave no sign of "
                                         "life when it was asked: its stream was "
                                         "ended, so that the machine is let in."};
inline constexpr log::Message agent_replaced{
    "AGENT_REPLACED",
    "A second stream of the same node came; the first was ended. Seen after an agent's restart. If it "
    "repeats, two machines use one agent state directory: give one of them a new join token."};
inline constexpr log::Message agent_message_refused{
    "AGENT_MESSAGE_REFUSED",
    "An agent sent something that isn't a valid message; its stream was ended. Agent and "
    "manager may be too many versions apart."};
inline constexpr log::Message agent_too_slow{
    "AGENT_TOO_SLOW", "An agent doesn't take what is sent to it; its stream was ended so that it starts afresh."};
inline constexpr log::Message agent_refused{
    "AGENT_REFUSED",
    "A caller without a valid certificate of a known node was refused. After a node was deleted its "
    "agent shows up here until it is stopped or joins anew."};
inline constexpr log::Message join_refused{
    "JOIN_REFUSED",
    "A machine tried to join with a wrong, expired or used token. If nobody here did that, someone else "
    "did: look at the address."};
inline constexpr log::Message join_replayed{
    "JOIN_REPLAYED",
    "SECURITY: a join token that had been used was presented again with another key. Someone may have "
    "copied it; check the node that joined with it."};
inline constexpr log::Message node_joined{"NODE_JOINED", "A machine became a node of this cluster."};
inline constexpr log::Message certificate_renewed{"NODE_CERTIFICATE_RENEWED", "A node got a new certificate."};
inline constexpr log::Message certificate_not_renewed{
    "CERTIFICATE_NOT_RENEWED",
    "A node asked for a new certificate and didn't get one; it tries again. Its old one still "
    "works until its end."};
inline constexpr log::Message secrets_sent{
    "SECRETS_SENT", "A node was sent the secret files that it should have; it wasn't known to have them."};
inline constexpr log::Message secret_unreadable{
    "SECRET_UNREADABLE",
    "A secret file can't be opened with the manager's secrets.key, so the node gets no secret files and doesn't become "
    "ready. Put the key of the backup back, or set the file again (bh profile set, bh node set: --secret-file)."};
inline constexpr log::Message tunnel_refused{
    "TUNNEL_REFUSED", "An agent opened a tunnel that it wasn't asked for, or that has ended meanwhile."};

}  // namespace bridgehead::agent_gateway
