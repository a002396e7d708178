/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libqmp: a client for the QEMU Machine Protocol (QMP).
 *
 * Conventions, the same for every function
 *
 * Status. A function that can fail returns qmp_status: 0 is success, errors are negative and stable.
 *   Outputs are written on success; on failure they are NULL or 0. The last parameter, qmp_error **error,
 *   may be NULL; otherwise it gets NULL on success, and on failure an error that the caller frees with
 *   qmp_error_free. Nothing is kept per thread.
 *
 * Pointers. NULL gives QMP_ERR_INVALID_ARGUMENT, for handles and outputs too, unless the function's comment
 *   says that it may be NULL.
 *
 * Handles. qmp_client, qmp_options and qmp_cancel are opaque and never dereferenced. A handle that was freed,
 *   is of another kind or made up gives QMP_ERR_INVALID_HANDLE. Closing or freeing one while other threads
 *   use it is allowed: calls under way on a closed client return QMP_ERR_CLOSED. Freeing NULL does nothing.
 *   In a child made by fork the parent's handles give QMP_ERR_FORKED, and are left alone; new ones work.
 *
 * Time. int64_t timeout_ms: 0 does not wait, QMP_FOREVER waits for ever; less than that is
 *   QMP_ERR_INVALID_ARGUMENT; more than the clock can count is for ever. Only the monotonic clock counts.
 *
 * Cancelling. qmp_cancel *cancel may be NULL. Triggering it, from any thread or from a callback, ends every
 *   call that uses it with QMP_ERR_CANCELLED.
 *
 * Strings. Strings in are NUL-terminated UTF-8 (paths: bytes) and are copied. Strings out belong to the
 *   caller and are freed with qmp_string_free. JSON goes in and comes out as text; what QEMU sent is passed
 *   on verbatim, so numbers keep all their digits.
 *
 * Descriptors. All that the library opens are closed by exec. Those that a peer passes along are closed unseen.
 *
 * Structs. qmp_error and qmp_event are allocated by the library, read only, freed with their own functions,
 *   and may grow at their ends: never allocate, copy or embed one.
 *
 * Threads. Every function may be called from any thread, and many threads may use one handle at once.
 *   Callbacks come as {function, user_data, destroy}; destroy runs exactly once, also when the call that
 *   takes them fails. They run without a lock held, may call the library, and must not unwind.
 *
 * Values. Enumerations are int32_t with named constants. An unknown value in is an error; expect unknown
 *   values out.
 */

#ifndef QMP_H
#define QMP_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status codes and the version ---- */

/** As a timeout: wait for ever. */
#define QMP_FOREVER (-1)

/**
 * As the timeout of a command: as long as the built-in table gives that command, or what
 * qmp_options_set_timeout has set over it. Only where a function says so.
 *
 * The table: 5 s, for QEMU answers from what it knows. 30 s: query-block*,
 * query-named-block-nodes, screendump, quit. 60 s, for these open, flush and drain images, plug
 * devices, or hide anything: blockdev-*, block_*, block-*, drive-*, nbd-server-*, transaction,
 * device_*, netdev_*, object-*, chardev-*, migrate*, savevm-*, query-savevm,
 * human-monitor-command, guest-exec*. 3 min: guest-fsfreeze-thaw. 10 min: guest-fstrim. 1 h, for
 * these wait for a guest's file systems, write all of its memory, or wait for the last round of a
 * migration: guest-fsfreeze-freeze*, dump-guest-memory, query-migrate.
 */
#define QMP_DEFAULT_TIMEOUT (-2)

/**
 * How a call went: QMP_OK, or one of the QMP_ERR_ codes. The codes never change their meaning;
 * later versions may add some. Since 0.1.
 */
typedef int32_t qmp_status;

/** Success. */
#define QMP_OK 0

/**
 * An argument is NULL, not UTF-8, not JSON, out of range, or otherwise not what it must be.
 * Nothing was sent.
 */
#define QMP_ERR_INVALID_ARGUMENT (-1)

/** The handle was closed or freed, is of another type, or never was one. */
#define QMP_ERR_INVALID_HANDLE (-2)

/** There is nothing at this address. */
#define QMP_ERR_NOT_FOUND (-3)

/** The system does not let this user connect. */
#define QMP_ERR_PERMISSION (-4)

/** Nobody listens at this address. */
#define QMP_ERR_REFUSED (-5)

/** Connected, but not one byte came: another client holds the monitor. */
#define QMP_ERR_BUSY (-6)

/** The time is over. Look at outcome_unknown before doing it again. */
#define QMP_ERR_TIMEOUT (-7)

/** The call's qmp_cancel was triggered. */
#define QMP_ERR_CANCELLED (-8)

/** The client was closed while the call was under way. */
#define QMP_ERR_CLOSED (-9)

/** The connection to the VM has ended. */
#define QMP_ERR_DISCONNECTED (-10)

/** The peer sent something that is not QMP. */
#define QMP_ERR_PROTOCOL (-11)

/** What the peer sent is over a limit. */
#define QMP_ERR_TOO_LARGE (-12)

/** The VM answered with an error: see error_class and description. */
#define QMP_ERR_COMMAND (-13)

/** This VM, or this build of the library, cannot do that. */
#define QMP_ERR_UNSUPPORTED (-14)

/** Memory, descriptors or threads are short. */
#define QMP_ERR_RESOURCE (-15)

/** The handle belongs to the process that this one was forked from. */
#define QMP_ERR_FORKED (-16)

/** A system call failed: see os_errno. */
#define QMP_ERR_IO (-17)

/** A bug in the library. */
#define QMP_ERR_INTERNAL (-18)

/**
 * The version of the library that runs, as text: "0.1.0".
 *
 * Returns a static string. Never fails. Any thread. Since 0.1.
 */
const char *qmp_version(void);

/**
 * The version of the library that runs, as a number that grows: 0xMMmmpp, so 0x000100 for 0.1.0.
 *
 * Never fails. Any thread. Since 0.1.
 */
uint32_t qmp_version_number(void);

/**
 * The name of a status code, as in the header: "QMP_ERR_TIMEOUT".
 *
 * Returns a static string; "QMP_ERR_UNKNOWN" for a code that this version does not know.
 * Any thread. Since 0.1.
 */
const char *qmp_status_name(qmp_status status);

/**
 * What a status code means, in a few words. The message of a qmp_error says more.
 *
 * Returns a static string, also for a code that this version does not know. Any thread.
 * Since 0.1.
 */
const char *qmp_status_text(qmp_status status);

/* ---- Errors, and freeing what the library hands out ---- */

/**
 * What a failed call tells. Read-only; free it with qmp_error_free. Later versions may add members
 * at the end. Since 0.1.
 */
typedef struct qmp_error {
    /** The same code that the call returned. */
    qmp_status status;
    /** The errno of the system call that failed, or 0. */
    int32_t os_errno;
    /**
     * The command may have been executed: it was sent and no answer came. Look at the VM's state
     * before sending it again.
     */
    bool outcome_unknown;
    /**
     * What was attempted, where, with which limit, and what to do next, for a person to read.
     * Never NULL. Holds no arguments of commands.
     */
    const char *message;
    /** The command's name, or NULL if no command is concerned. */
    const char *command;
    /**
     * With QMP_ERR_COMMAND: the error class as the VM sent it ("CommandNotFound", "GenericError",
     * …), empty if it sent none. Else NULL. Here and in the description a NUL stands as \u0000,
     * and text with half a surrogate pair as it was sent, in quotes.
     */
    const char *error_class;
    /** With QMP_ERR_COMMAND: the VM's description. Else NULL. */
    const char *description;
} qmp_error;

/**
 * Frees a string that a function of this library gave to the caller. NULL does nothing.
 *
 * Any thread. Since 0.1.
 *
 * The caller's part: The string came from this library and has not been freed.
 */
void qmp_string_free(char *string);

/**
 * Frees an error. NULL does nothing.
 *
 * Any thread. Since 0.1.
 *
 * The caller's part: The error came from this library and has not been freed.
 */
void qmp_error_free(qmp_error *error);

/* ---- Cancelling calls ---- */

/** A handle to a token that ends calls from outside. Any thread. Since 0.1. */
typedef struct qmp_cancel qmp_cancel;

/**
 * Makes a token. It can be given to any number of calls, on any number of clients.
 *
 * Returns a handle to be freed with qmp_cancel_free, or NULL when memory or handles are short.
 * Any thread. Since 0.1.
 */
qmp_cancel *qmp_cancel_new(void);

/**
 * Triggers a token: every call that uses it ends with QMP_ERR_CANCELLED, now and later. A token
 * stays triggered; for another call make another.
 *
 * Returns QMP_OK, also if it was triggered already; QMP_ERR_INVALID_ARGUMENT for NULL;
 * QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread, callbacks too; not a signal handler.
 * Since 0.1.
 */
qmp_status qmp_cancel_trigger(qmp_cancel *cancel);

/**
 * Frees a token without triggering it. Calls that use it go on. NULL and a stale handle do
 * nothing.
 *
 * Any thread. Since 0.1.
 */
void qmp_cancel_free(qmp_cancel *cancel);

/* ---- Settings of a client ---- */

/** A dialect: QMP, as a VM's monitor speaks it. */
#define QMP_DIALECT_QMP 0

/** A dialect: the QEMU guest agent's (qemu-ga). */
#define QMP_DIALECT_GUEST_AGENT 1

/** A handle to settings. Any thread. Since 0.1. */
typedef struct qmp_options qmp_options;

/**
 * Makes settings, all at their defaults.
 *
 * Returns a handle to be freed with qmp_options_free, or NULL when memory or handles are short.
 * Any thread. Since 0.1.
 */
qmp_options *qmp_options_new(void);

/**
 * Frees settings. Clients that were made with them keep theirs. NULL and a stale handle do
 * nothing.
 *
 * Any thread. Since 0.1.
 */
void qmp_options_free(qmp_options *options);

/**
 * Sets the size that one message of the VM may have, in bytes. Default 64 MiB, which is what QEMU
 * itself takes. Memory that a peer can claim is bounded by a small multiple of it.
 *
 * A larger reply fails its call with QMP_ERR_TOO_LARGE as soon as the limit is passed, if it is
 * the only call under way, or else when the reply's id was seen; the rest of the message is
 * skipped and the connection stays usable, unless that does not end: more than 16 times the limit,
 * and more than 1 GiB, end the connection. The greeting may have 1 MiB at most, whatever this
 * limit is.
 *
 * bytes: at least 1. Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE;
 * QMP_ERR_FORKED. Any thread. Since 0.1.
 */
qmp_status qmp_options_set_max_message_bytes(qmp_options *options, uint64_t bytes);

/**
 * Sets how many events wait at most until they are polled. Default 4096. Together they also need
 * no more memory than the largest message may, or 4 MiB if that is more; half of it is for those
 * that are lost last, see qmp_poll_event.
 *
 * events: at least 1. Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE;
 * QMP_ERR_FORKED. Any thread. Since 0.1.
 */
qmp_status qmp_options_set_event_capacity(qmp_options *options, uint64_t events);

/**
 * Sets whether connecting waits for a socket that is not there yet, or on which nobody listens,
 * until the time is over. Default false: that fails at once.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT for NULL; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED.
 * Any thread. Since 0.1.
 */
qmp_status qmp_options_set_wait_for_socket(qmp_options *options, bool wait);

/**
 * Sets what is spoken at the address: QMP_DIALECT_QMP (the default) or QMP_DIALECT_GUEST_AGENT.
 *
 * The guest agent's socket is that of a serial port of the VM, behind which qemu-ga runs inside
 * the guest. An agent does not greet: qmp_connect sends it the byte 0xFF and the command
 * "guest-sync-delimited" with a random number, and ignores whatever comes before the answer with
 * that number, such as replies to an earlier client and errors about what it left behind. Without
 * an answer it does so again after 1, 2, 4, … seconds, each time with another number; only the
 * last one's answer counts. QEMU takes the connection whether or not an agent runs, so an absent
 * one is told by QMP_ERR_TIMEOUT: give the guest the time that it needs to start. No command is
 * sent before the agent has answered.
 *
 * Then qmp_execute_json works as with QMP, with the agent's commands ("guest-ping", …). One that
 * timed out may still be run by the agent, outcome_unknown is true; the client stays usable, the
 * late reply is recognised and dropped. The agent never answers "guest-shutdown",
 * "guest-suspend-disk", "guest-suspend-ram" and "guest-suspend-hybrid" when they succeed: their
 * calls succeed with "{}" when the connection ends, and give QMP_ERR_TIMEOUT with outcome_unknown
 * if it stays; look at the VM's monitor. When the agent is stopped inside the guest the connection
 * does not end, and calls time out.
 *
 * There are no events, so qmp_poll_event gives the end only. qmp_greeting_json, qmp_query_status,
 * qmp_is_running and qmp_shutdown are a monitor's and return QMP_ERR_UNSUPPORTED.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: NULL, or an unknown dialect; QMP_ERR_INVALID_HANDLE;
 * QMP_ERR_FORKED. Any thread. Since 0.1.
 */
qmp_status qmp_options_set_dialect(qmp_options *options, int32_t dialect);

/* ---- Settings of a client: how it is driven, what its session may do, how it comes back ---- */

/**
 * Sets whether out-of-band commands are wanted (qmp_execute_oob_json): the capability "oob" is
 * enabled if the VM offers it. Default false.
 *
 * So that these can always overtake, at most 8 other commands are under way at the VM then; more
 * wait here, in their order.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT for NULL; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED.
 * Any thread. Since 0.1.
 */
qmp_status qmp_options_set_out_of_band(qmp_options *options, bool wanted);

/**
 * Sets whether the caller's own loop drives the client, and no thread of the library: with qmp_fd
 * and qmp_process. Default false.
 *
 * The library starts no thread for such a client at all, so a host name cannot be looked up for it,
 * and its callbacks are of the kind QMP_ON_DISPATCH. Calls that wait work as ever; between them
 * nothing is read unless qmp_process is called.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT for NULL; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED.
 * Any thread. Since 0.1.
 */
qmp_status qmp_options_set_own_loop(qmp_options *options, bool wanted);

/**
 * Sets how long a command may take whose caller passes QMP_DEFAULT_TIMEOUT, over the built-in table.
 * A command's own name counts before patterns, and a longer pattern before a shorter one.
 *
 * command: a name, or a pattern in which "*" is any text. timeout_ms: milliseconds, or QMP_FOREVER.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: command is a NUL-terminated string or NULL.
 */
qmp_status qmp_options_set_timeout(qmp_options *options,
                                   const char *command,
                                   int64_t timeout_ms);

/**
 * Sets which process, of which user, has to be the one that made the socket. Connecting to another
 * one fails with QMP_ERR_PERMISSION, before anything is sent. Default: whoever it is.
 *
 * pid: a process, or -1 for any. uid: a user, or -1 for any.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 */
qmp_status qmp_options_set_expected_peer(qmp_options *options, int64_t pid, int64_t uid);

/**
 * Sets that clients made with these settings come back by themselves when their connection has ended,
 * and how long they pause before each attempt. Default: the first end is the last.
 *
 * The handle, its descriptors, subscriptions and queued events stay. The client tells of it with events
 * of the library's own, in its own queue and in every subscription:
 *
 *   QMP_EVENT_DISCONNECTED, name "DISCONNECTED",
 *     data {"cause": "…", "epoch": 1, "reconnecting": true}
 *     the session has ended; with "reconnecting": false, no attempt will follow: total_ms is over
 *   QMP_EVENT_RECONNECTED, name "RECONNECTED",
 *     data {"epoch": 2, "pid": 1234, "another-process": true, "down-ms": 57}
 *     there is a session again. epoch counts the client's sessions from 1. pid is the process at the
 *     other end, and another-process whether it is not the one of the last session; both are null
 *     where the system does not tell (TCP). down-ms: for so long nobody heard the VM, and the events of
 *     that time are lost: ask for the state.
 *
 * What was under way when the connection ended fails with QMP_ERR_DISCONNECTED (qmp_execute_json tells
 * how much is known of its outcome), and is never sent again; see qmp_options_set_retry_queries. Calls made
 * meanwhile wait for the next session, within their timeouts; if there is none by then they return
 * QMP_ERR_DISCONNECTED, and nothing was sent. qmp_submit_json does not wait and fails at once.
 * qmp_shutdown and qmp_execute_and_wait stay with the session in which they began. Polls go on.
 *
 * An attempt goes to the address that the first connection was made to; a host's name is not looked up
 * again. It takes 10 s at most. With qmp_options_set_expected_peer another peer is refused, and tried
 * again. Descriptors (fd:N) cannot be connected to again. A recording (qmp_options_set_record) has the
 * first session alone. Events behind QMP_EVENT_DISCONNECTED are the next peer's; what it sends before
 * its session is open comes before QMP_EVENT_RECONNECTED. Between two sessions qmp_peer and
 * qmp_greeting_json tell of the last peer, or of the one that is being tried.
 *
 * first_ms: the pause before the first attempt, in milliseconds; 0 turns reconnecting off, and the rest does
 * not matter. factor: by which each pause is longer than the one before it, 1 to 100. cap_ms: the
 * longest pause, first_ms at least. jitter: up to this part of a pause is left out, at random, so that not
 * all clients of a host come at once, 0 to 1. total_ms: when to give up, counted from the end of a
 * session, also while an attempt is under way; or QMP_FOREVER.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 */
qmp_status qmp_options_set_reconnect(qmp_options *options,
                                     int64_t first_ms,
                                     double factor,
                                     int64_t cap_ms,
                                     double jitter,
                                     int64_t total_ms);

/**
 * Sets whether a "query-" command whose session ended before its reply came is sent again in the next
 * one, within its timeout. Default false. Only blocking calls do so (qmp_execute_json and what is built on
 * it), on clients that come back (qmp_options_set_reconnect). Nothing else is ever sent twice.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT for NULL; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED.
 * Any thread. Since 0.1.
 */
qmp_status qmp_options_set_retry_queries(qmp_options *options,
                                         bool wanted);

/* ---- Settings of a client: what it tells besides replies and events ---- */

/** A log level: something is broken. */
#define QMP_LOG_ERROR 1

/** A log level: the peer did something odd, which was dropped. */
#define QMP_LOG_WARN 2

/** A log level: connections made, calls that timed out. */
#define QMP_LOG_INFO 3

/** A log level: how connections end. */
#define QMP_LOG_DEBUG 4

/** A log level: every message. Passwords, secrets and keys are replaced by "<redacted>". */
#define QMP_LOG_TRACE 5

/**
 * A logger. It may be called from any thread, from several at once, and may call any function of
 * this library. It may run on the library's own thread, which has a stack of 1 MiB and on which
 * all idle connections of the process wait meanwhile. message is a line without a newline, valid
 * during the call. It must not unwind (no C++ exception, no longjmp, no pthread_exit). Since 0.1.
 */
typedef void (*qmp_log_fn)(void *user_data, int32_t level, const char *message);

/**
 * A function that is told of a late reply: the name of its command, and what the command came to:
 * status and, on QMP_OK, reply_json, else error; the other is NULL. All are valid during the call.
 * The same holds as for qmp_log_fn: it may be called from any thread, from several at once, may call
 * any function of this library, and must not unwind. Since 0.1.
 */
typedef void (*qmp_late_reply_fn)(void *user_data,
                                  const char *command,
                                  qmp_status status,
                                  const char *reply_json,
                                  const qmp_error *error);

/**
 * Sets the logger of the clients made with these settings. There is none by default, and the
 * library never writes to the standard streams, except to tell of a bug in itself.
 *
 * level: the least important lines wanted, QMP_LOG_ERROR to QMP_LOG_TRACE. function: the logger.
 * user_data: passed to it; may be NULL. It must live until destroy is called, which may be after
 * qmp_close has returned. destroy: called with user_data exactly once, when neither the settings
 * nor a client needs it any more, on whatever thread that is; may be NULL. It is called also when
 * this function fails.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: function is NULL or level is unknown;
 * QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
 *
 * The caller's part: The functions keep to the rules above.
 */
qmp_status qmp_options_set_log(qmp_options *options,
                               int32_t level,
                               qmp_log_fn function,
                               void *user_data,
                               void (*destroy)(void *user_data));

/**
 * Sets a function that is told of late replies: those to commands whose call gave up after sending,
 * or whose request was cancelled or freed. There is none by default, and they are dropped.
 *
 * function: is called once for each, without a lock, by the thread that read it, which may be any,
 * and the library's own. The last 1024 such commands of a client are remembered. user_data: given to
 * it; may be NULL. destroy: called with user_data exactly once, as that of qmp_options_set_log; may
 * be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: function is NULL; QMP_ERR_INVALID_HANDLE;
 * QMP_ERR_FORKED. Any thread. Since 0.1.
 *
 * The caller's part: The functions keep to the rules above.
 */
qmp_status qmp_options_set_late_reply(qmp_options *options,
                                      qmp_late_reply_fn function,
                                      void *user_data,
                                      void (*destroy)(void *user_data));

/**
 * Sets a file to which the session of a client made with these settings is recorded: to see what
 * was said, or to replay it without the VM. Default NULL: none.
 *
 * path: bytes; NULL for none. The file is made by qmp_connect once the socket is open, for its owner
 * alone (mode 0600); one that is there is emptied and keeps its mode. Each client needs a file of
 * its own. A file that cannot be opened fails qmp_connect: QMP_ERR_NOT_FOUND, QMP_ERR_PERMISSION,
 * QMP_ERR_RESOURCE or QMP_ERR_IO, and the message names the path. One that cannot be written later
 * (the disk is full) ends the recording with a line of the log at QMP_LOG_WARN, and no call fails.
 *
 * The transcript is JSON Lines, one object a line, in the order of the wire, so a command stands
 * before its reply; a line is written before the call returns that it concerns:
 *
 *   {"transcript": 1, "library": "0.1.0"}   the first line: the version of this format
 *   {"ms": 12, "received": {…}}             a message of the VM, the greeting included
 *   {"ms": 13, "sent": {…}}                 a command, once it has left whole
 *   {"ms": 14, "garbage": "…"}              what came and is no JSON: its beginning, escaped
 *   {"ms": 14, "skipped": "…"}              a message that was not kept, too large perhaps: why
 *   {"ms": 14, "ended": "…"}                the last line: why the connection ended
 *
 * ms: milliseconds since connecting. Messages are whole, without blanks between tokens. Passwords,
 * secrets and keys are replaced by "<redacted>", as in the log; everything else that was said stands
 * there.
 *
 * The environment variable QMP_RECORD, if it is not empty, names a directory: clients without a
 * path of their own record to the file qmp-PID-N.jsonl there, N counting the clients of the process
 * from 1. It is read by qmp_connect, and ignored where the process has more rights than its user
 * (setuid).
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: options is NULL or path is empty;
 * QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
 *
 * The caller's part: path is a NUL-terminated string or NULL.
 */
qmp_status qmp_options_set_record(qmp_options *options,
                                  const char *path);

/* ---- Connecting and closing ---- */

/**
 * A handle to the connection to one VM, or to its guest agent. Any number of threads may use it at
 * once. Since 0.1.
 */
typedef struct qmp_client qmp_client;

/**
 * Connects to a VM's monitor: opens the socket, reads the greeting and negotiates capabilities.
 * When it returns QMP_OK the VM answers. For a guest agent see qmp_options_set_dialect.
 *
 * A client stays with the VM that it connected to: when that ends the client is at its end too,
 * and whoever listens on the same path afterwards is met by another qmp_connect only, unless
 * qmp_options_set_reconnect says otherwise. The logger is told the process behind each connection.
 *
 * address: "/PATH" or "unix:PATH", a unix socket, the path at most 107 bytes; "abstract:NAME", one
 * in the abstract namespace; "tcp:HOST:PORT" with a name, an IPv4 address or an IPv6 address in
 * brackets; "fd:N", a connected stream socket of the caller's, see below. options: settings,
 * copied; NULL for the defaults. timeout_ms: one limit over everything, or QMP_FOREVER. cancel:
 * ends the call; may be NULL. client: gets a handle, to be closed with qmp_close. error: gets the
 * error; may be NULL.
 *
 * With "fd:N" the library takes the descriptor over and closes it, also when the call fails: do
 * not use or close it again. Only after QMP_ERR_INVALID_ARGUMENT, QMP_ERR_INVALID_HANDLE and
 * QMP_ERR_FORKED it is still the caller's.
 *
 * Returns QMP_OK; QMP_ERR_NOT_FOUND: no such socket or host; QMP_ERR_REFUSED: nobody listens, or
 * the path is no socket; QMP_ERR_PERMISSION; QMP_ERR_BUSY: connected, but not one byte came, or
 * the queue of clients was full: a monitor serves one client at a time; QMP_ERR_TIMEOUT: no
 * greeting or no answer in time, or not one byte came and the peer is seen to be stopped;
 * QMP_ERR_DISCONNECTED: the VM ended during the handshake; QMP_ERR_PROTOCOL: something else than
 * QMP is there, the message names it if it can; QMP_ERR_TOO_LARGE; QMP_ERR_COMMAND: the
 * negotiation was refused; QMP_ERR_UNSUPPORTED: a guest agent that does not give ids back, because
 * it is too old; QMP_ERR_CANCELLED;
 * QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_RESOURCE; QMP_ERR_FORKED; QMP_ERR_IO.
 * Any thread. Since 0.1.
 *
 * The caller's part: address is a NUL-terminated string or NULL; the other pointers that are not handles may be
 * written, or are NULL.
 */
qmp_status qmp_connect(const char *address,
                       const qmp_options *options,
                       int64_t timeout_ms,
                       qmp_cancel *cancel,
                       qmp_client **client,
                       qmp_error **error);

/**
 * Waits for a VM that connects to us, as QEMU does with a monitor on -chardev
 * socket,…,server=off,reconnect=1.
 *
 * address: where to listen, in qmp_connect's forms, but for fd:N: "/path" or "unix:/path", with the
 * permissions that the umask leaves; "abstract:NAME"; "tcp:HOST:PORT". A socket file that is there and on which
 * nobody listens any more is replaced. options: settings, copied; NULL for the defaults. timeout_ms, cancel,
 * client, error: as with qmp_connect; the time counts for the VM to come and for the handshake.
 *
 * The first that connects is the VM. With qmp_options_set_reconnect the client listens on as long as it
 * lives, and takes the next VM that comes when the connection has ended; the pauses do not matter then,
 * total_ms does; whoever comes meanwhile waits in line. The address is given up, and its file removed, when the
 * client is closed or gives up, and without qmp_options_set_reconnect once a VM has come.
 *
 * Returns what qmp_connect does, and QMP_ERR_TIMEOUT: no VM came; QMP_ERR_BUSY: somebody else listens
 * there, or what is there is no socket; QMP_ERR_PERMISSION: the socket may not be made there. Any thread. Since 0.1.
 *
 * The caller's part: address is a NUL-terminated string or NULL; the pointers that are not handles may be written, or
 * are NULL.
 */
qmp_status qmp_listen(const char *address,
                      const qmp_options *options,
                      int64_t timeout_ms,
                      qmp_cancel *cancel,
                      qmp_client **client,
                      qmp_error **error);

/**
 * Closes a connection and frees its handle. The VM goes on.
 *
 * Calls that other threads have under way on the client return QMP_ERR_CLOSED; calls that begin
 * afterwards return QMP_ERR_INVALID_HANDLE. Commands that were submitted before have left, as far as
 * the VM takes them at once. Events that were not polled are gone.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT for NULL; QMP_ERR_INVALID_HANDLE, so closing twice is
 * safe; QMP_ERR_FORKED: the parent's connection goes on untouched. Any thread, callbacks too.
 * Since 0.1.
 */
qmp_status qmp_close(qmp_client *client);

/**
 * Gives the VM's greeting as it was sent: {"QMP": {"version": …, "capabilities": …}}.
 *
 * client: whose. greeting_json: gets a string, to be freed with qmp_string_free. error: gets the
 * error; may be NULL. It does not ask the VM, and works after the connection ended too.
 *
 * Returns QMP_OK; QMP_ERR_UNSUPPORTED: a guest agent does not greet; QMP_ERR_CLOSED;
 * QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED; QMP_ERR_RESOURCE. Any thread.
 * Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_greeting_json(qmp_client *client, char **greeting_json, qmp_error **error);

/**
 * Gives the process that made the VM's socket, and its user, as the kernel tells them.
 *
 * client: whose. pid, uid: get the numbers. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_UNSUPPORTED: it is no unix socket; QMP_ERR_CLOSED;
 * QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_peer(qmp_client *client, int32_t *pid, uint32_t *uid, qmp_error **error);

/* ---- Commands ---- */

/**
 * Sends a command and waits for its reply.
 *
 * Any number of threads may have commands under way on one client; each gets its own reply. A
 * command is sent whole or not at all: one whose time is over while a part of it is out ends the
 * connection. Nothing is ever sent twice.
 *
 * client: where to. command: its name, like "query-status": ASCII letters, digits, '-', '_' and
 * '.'. arguments_json: a JSON object in UTF-8, or NULL for none. It is checked before anything is
 * sent: nested at most 1000 deep, at most 64 MiB, no name twice in one object. timeout_ms: how
 * long the call may take, or QMP_DEFAULT_TIMEOUT; with 0 nothing is sent. cancel: ends the call; may be NULL. reply_json:
 * gets the value of the reply's "return", JSON text as the VM sent it ("{}" when it is empty), to
 * be freed with qmp_string_free. error: gets the error; may be NULL.
 *
 * Text of the human monitor ("human-monitor-command") is a success for QMP also when it says that
 * something failed. A reply with both or neither of "return" and "error" is a protocol error; of
 * a member that comes twice the last one counts; an error without an id fails the command that is
 * under way, if it is the only one. When the VM ends before its reply to "quit" is out, that is a success: "{}".
 *
 * Returns QMP_OK; QMP_ERR_COMMAND: the VM answered with an error, see error_class and description;
 * QMP_ERR_TIMEOUT; QMP_ERR_CANCELLED; QMP_ERR_DISCONNECTED: the connection ended; QMP_ERR_CLOSED;
 * QMP_ERR_TOO_LARGE: the reply is over the limit, the connection stays usable; QMP_ERR_PROTOCOL:
 * the reply is not JSON, or the peer lost its way; with each of these outcome_unknown tells
 * whether the command may have been executed; QMP_ERR_INVALID_ARGUMENT: nothing was sent;
 * QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED; QMP_ERR_RESOURCE: memory is short, and where it was too
 * short to receive the reply at all the connection has ended. Any thread. Since 0.1.
 *
 * The caller's part: The strings are NUL-terminated or NULL; the other pointers that are not handles may be written,
 * or are NULL.
 */
qmp_status qmp_execute_json(qmp_client *client,
                            const char *command,
                            const char *arguments_json,
                            int64_t timeout_ms,
                            qmp_cancel *cancel,
                            char **reply_json,
                            qmp_error **error);

/**
 * Sends a command out of band: it overtakes the commands that wait for their turn, and is executed
 * while another one runs.
 *
 * client: where to. command: its name. arguments_json: a JSON object, or NULL for none. Needs
 * qmp_options_set_out_of_band, and a command that QEMU allows out of band: "migrate-recover",
 * "migrate-pause", "yank", "query-yank"; others are refused by the VM. Everything else is as in
 * qmp_execute_json.
 *
 * Returns what qmp_execute_json returns; QMP_ERR_UNSUPPORTED: out-of-band was not negotiated, and
 * nothing was sent. Any thread. Since 0.1.
 *
 * The caller's part: As for qmp_execute_json.
 */
qmp_status qmp_execute_oob_json(qmp_client *client,
                                const char *command,
                                const char *arguments_json,
                                int64_t timeout_ms,
                                qmp_cancel *cancel,
                                char **reply_json,
                                qmp_error **error);

/**
 * Sends a command with a file descriptor for the VM: "getfd", "add-fd" and the like. Both arrive
 * together, the descriptor with the command's first byte.
 *
 * The descriptor belongs to the library from then on, whatever happens, and is closed; the VM has a
 * copy of its own if the command was sent. Only after QMP_ERR_INVALID_ARGUMENT,
 * QMP_ERR_INVALID_HANDLE and QMP_ERR_FORKED it is still the caller's.
 *
 * client: where to. command: its name. arguments_json: a JSON object, or NULL for none. descriptor:
 * an open one. Everything else is as in qmp_execute_json.
 *
 * Returns what qmp_execute_json returns; QMP_ERR_UNSUPPORTED: the connection is none over a unix
 * socket, and nothing was sent. Any thread. Since 0.1.
 *
 * The caller's part: As for qmp_execute_json; nobody else uses the descriptor any more.
 */
qmp_status qmp_execute_fd_json(qmp_client *client,
                               const char *command,
                               const char *arguments_json,
                               int32_t descriptor,
                               int64_t timeout_ms,
                               qmp_cancel *cancel,
                               char **reply_json,
                               qmp_error **error);

/* ---- Events: what the VM reports by itself ---- */

/**
 * A kind of event: the VM sent it. The library's own kinds have other numbers; expect unknown
 * ones.
 */
#define QMP_EVENT_VM 0

/**
 * A kind of event: the library's own, "DISCONNECTED". The connection has ended. Its data has "cause", a
 * text, "epoch", the number of the session, and "reconnecting": if that is false, no other event follows.
 * Subscriptions get it, once for each end, and so does the client's own queue if it is one that comes back
 * (qmp_options_set_reconnect).
 */
#define QMP_EVENT_DISCONNECTED 1

/**
 * A kind of event: the library's own, "RECONNECTED". There is a session again: see
 * qmp_options_set_reconnect for its data.
 */
#define QMP_EVENT_RECONNECTED 2

/**
 * An event. Read-only; free it with qmp_event_free. Later versions may add members at the end.
 * Since 0.1.
 */
typedef struct qmp_event {
    /** QMP_EVENT_VM, or a kind of the library's own. */
    int32_t kind;
    /** "SHUTDOWN", "STOP", … Newer QEMU adds names. Never NULL. */
    const char *name;
    /** The event's "data" as the VM sent it, JSON text; NULL if it has none. */
    const char *data;
    /** The whole event as the VM sent it, JSON text. Never NULL. */
    const char *json;
    /** The VM's wall clock: seconds since 1970, and microseconds. Both -1 if it did not say. */
    int64_t seconds;
    int64_t microseconds;
    /**
     * Counts the events of a connection from 1, or those of a subscription that fit its filter,
     * lost ones included.
     */
    uint64_t sequence;
    /** How many events were lost right before this one, because the queue was full. */
    uint64_t lost;
} qmp_event;

/**
 * Frees an event. NULL does nothing.
 *
 * Any thread. Since 0.1.
 *
 * The caller's part: The event came from this library and has not been freed.
 */
void qmp_event_free(qmp_event *event);

/**
 * Gives the oldest event that has not been handed out.
 *
 * Events wait in a queue from the moment they are received, in the VM's order, and before the
 * reply of the command that caused them. The queue is bounded (qmp_options_set_event_capacity);
 * when it is full the oldest event is lost, and SHUTDOWN, STOP, RESUME, RESET, GUEST_PANICKED,
 * DEVICE_DELETED and the completion of jobs last. What was received before the connection ended
 * can still be polled. Each event is given to one caller. One whose name is no string, or none that
 * C could hold, is dropped.
 *
 * client: where from. timeout_ms: how long to wait for one; with 0 what has arrived is looked at.
 * cancel: ends the wait; may be NULL. event: gets the event, to be freed with qmp_event_free.
 * error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_TIMEOUT: none came; QMP_ERR_DISCONNECTED: the connection ended and the
 * queue is empty, the message says how the VM ended as far as is known; QMP_ERR_CANCELLED;
 * QMP_ERR_CLOSED; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED;
 * QMP_ERR_RESOURCE. Any thread. Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_poll_event(qmp_client *client,
                          int64_t timeout_ms,
                          qmp_cancel *cancel,
                          qmp_event **event,
                          qmp_error **error);

/**
 * Gives a descriptor for the caller's own loop: it is readable while qmp_poll_event would not
 * wait, because an event is there or because the connection has ended.
 *
 * Wait for it with poll, epoll or select, and call qmp_poll_event with timeout 0 for as long as
 * that returns QMP_OK. After QMP_ERR_DISCONNECTED stop watching it: it stays readable. Do not
 * read from it. It belongs to the client: take it out of your loop before qmp_close, after which
 * the system may give its number to another file. Asking again gives the same descriptor.
 *
 * client: whose events. fd: gets the descriptor, 0 on failure. error: gets the error; may be
 * NULL.
 *
 * Returns QMP_OK; QMP_ERR_RESOURCE; QMP_ERR_CLOSED; QMP_ERR_INVALID_ARGUMENT;
 * QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_event_fd(qmp_client *client, int32_t *fd, qmp_error **error);

/**
 * Gives the oldest event of a certain kind that has not been handed out, or waits for it. It may
 * have come before the call. Other events stay where they are, for qmp_poll_event.
 *
 * client: where from. events, member, value_json: which event, or NULL, as in qmp_subscribe.
 * timeout_ms, cancel, event, error: as in qmp_poll_event.
 *
 * Returns what qmp_poll_event returns. Any thread. Since 0.1.
 *
 * The caller's part: The strings are NUL-terminated or NULL; the other pointers that are not handles may be written,
 * or are NULL.
 */
qmp_status qmp_wait_event(qmp_client *client,
                          const char *events,
                          const char *member,
                          const char *value_json,
                          int64_t timeout_ms,
                          qmp_cancel *cancel,
                          qmp_event **event,
                          qmp_error **error);

/**
 * Sends a command, and waits for its reply and for an event that it brings about, under one limit.
 * The event is looked for from the moment of sending, so none is missed.
 *
 * command, cancel: as in qmp_execute_json. arguments_json: the same; may be NULL. events, member,
 * value_json: which event, or NULL, as in qmp_subscribe. timeout_ms: for both together. reply_json: gets the reply, to be freed with
 * qmp_string_free. event: gets the event, to be freed with qmp_event_free. error: gets the error;
 * may be NULL. qmp_poll_event gives the event too.
 *
 * Returns QMP_OK; what qmp_execute_json returns, where the command failed; where it was answered and
 * the event did not follow, QMP_ERR_TIMEOUT, QMP_ERR_CANCELLED or QMP_ERR_DISCONNECTED with
 * outcome_unknown true. Any thread. Since 0.1.
 *
 * The caller's part: The strings are NUL-terminated or NULL; the other pointers that are not handles may be written,
 * or are NULL.
 */
qmp_status qmp_execute_and_wait(qmp_client *client,
                                const char *command,
                                const char *arguments_json,
                                const char *events,
                                const char *member,
                                const char *value_json,
                                int64_t timeout_ms,
                                qmp_cancel *cancel,
                                char **reply_json,
                                qmp_event **event,
                                qmp_error **error);

/* ---- Subscriptions: several consumers of one client's events, and callbacks ---- */

/**
 * Where a callback runs: on a thread of the library's own, on which the callbacks of all clients
 * of the process run one after the other.
 */
#define QMP_ON_LIBRARY_THREAD 0

/** Where a callback runs: on the thread that calls qmp_dispatch. */
#define QMP_ON_DISPATCH 1

/** A handle to a consumer of events, with a queue of its own. Any thread. Since 0.1. */
typedef struct qmp_subscription qmp_subscription;

/**
 * A callback for events. event is valid during the call. It may call any function of this library,
 * free its own subscription and close its client. It must not unwind (no C++ exception, no
 * longjmp, no pthread_exit). A slow one delays other callbacks, and never a reply. Since 0.1.
 */
typedef void (*qmp_event_fn)(void *user_data, const qmp_event *event);

/**
 * Subscribes to the events that come from now on and fit a filter. They wait in a queue of their
 * own; a subscription that is made before a command is sent sees every event of that command. Other
 * subscriptions and qmp_poll_event see the events too.
 *
 * client: whose events. events: names like "SHUTDOWN" and patterns like "JOB_*", in which "*" is
 * any text, with commas between them; NULL for all. member, value_json: a member of the event's
 * data, and the JSON value that it must have ("device" and "\"net0\""); both NULL for whatever it
 * is. capacity: how many events wait at most, 0 for the 4096 of the default; when the queue is full
 * the oldest of the least important is lost, as in qmp_poll_event, and counted in the next event's
 * member lost. Together they need no more memory than the largest message may, or 4 MiB if that is
 * more. subscription: gets a handle, to be freed with qmp_subscription_free. error: gets the error;
 * may be NULL.
 *
 * When the connection ends, each subscription gets one event of the kind QMP_EVENT_DISCONNECTED,
 * behind all others and whatever its filter is. Where the client comes back, it goes on, and gets
 * QMP_EVENT_RECONNECTED too.
 *
 * Returns QMP_OK; QMP_ERR_DISCONNECTED: the connection has ended; QMP_ERR_CLOSED;
 * QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_RESOURCE; QMP_ERR_FORKED. Any thread,
 * callbacks too. Since 0.1.
 *
 * The caller's part: The strings are NUL-terminated or NULL; the other pointers that are not handles may be written,
 * or are NULL.
 */
qmp_status qmp_subscribe(qmp_client *client,
                         const char *events,
                         const char *member,
                         const char *value_json,
                         uint64_t capacity,
                         qmp_subscription **subscription,
                         qmp_error **error);

/**
 * Ends a subscription and frees its handle, before or after its client is closed; its events are
 * gone. A call that polls it ends with QMP_ERR_CLOSED. A callback that runs at the moment runs to
 * its end, and destroy runs after it. NULL and a stale handle do nothing.
 *
 * Any thread, callbacks too. Since 0.1.
 */
void qmp_subscription_free(qmp_subscription *subscription);

/**
 * Gives the oldest event of a subscription.
 *
 * subscription: whose. timeout_ms, cancel, event, error: as in qmp_poll_event.
 *
 * Returns QMP_OK; QMP_ERR_TIMEOUT: none came; QMP_ERR_DISCONNECTED: the connection ended, and all
 * that came was given out; QMP_ERR_CLOSED: the client was closed, or the subscription freed;
 * QMP_ERR_CANCELLED; QMP_ERR_INVALID_ARGUMENT: also if a callback gets the events;
 * QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED; QMP_ERR_RESOURCE. Any thread. Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_subscription_poll(qmp_subscription *subscription,
                                 int64_t timeout_ms,
                                 qmp_cancel *cancel,
                                 qmp_event **event,
                                 qmp_error **error);

/**
 * Gives a descriptor that is readable while qmp_subscription_poll would not wait.
 *
 * Use it as that of qmp_event_fd. It belongs to the subscription: take it out of your loop before
 * qmp_subscription_free. Once the client is closed it stays readable.
 *
 * subscription: whose. fd: gets the descriptor, 0 on failure. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_RESOURCE; QMP_ERR_CLOSED; QMP_ERR_INVALID_ARGUMENT;
 * QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_subscription_fd(qmp_subscription *subscription, int32_t *fd, qmp_error **error);

/**
 * Has a function called with each event of a subscription, those that wait already included, in
 * their order and never two at once. Once, for good: nobody can poll it any more, and a call that
 * does ends with QMP_ERR_INVALID_ARGUMENT. After 64 events in a row other subscriptions have
 * their turn.
 *
 * subscription: whose. place: QMP_ON_LIBRARY_THREAD or QMP_ON_DISPATCH. function: what is called.
 * user_data: given to it; may be NULL. destroy: called with user_data exactly once, when the
 * function will not be called any more, or when this call fails; may be NULL. error: gets the error;
 * may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: also if it has a callback already; QMP_ERR_CLOSED;
 * QMP_ERR_INVALID_HANDLE; QMP_ERR_RESOURCE; QMP_ERR_FORKED. Any thread, callbacks too. Since 0.1.
 *
 * The caller's part: The functions may be called with user_data from any thread; error may be written, or is NULL.
 */
qmp_status qmp_subscription_set_callback(qmp_subscription *subscription,
                                         int32_t place,
                                         qmp_event_fn function,
                                         void *user_data,
                                         void (*destroy)(void *user_data),
                                         qmp_error **error);

/**
 * Runs the callbacks of a client that wait for it, on the calling thread: those that were set with
 * QMP_ON_DISPATCH. It never waits for more, and leaves what comes meanwhile to the next call.
 *
 * client: whose. error: gets the error; may be NULL.
 *
 * Returns QMP_OK, also if there was nothing to do; QMP_ERR_CLOSED; QMP_ERR_INVALID_ARGUMENT;
 * QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread, callbacks too. Since 0.1.
 *
 * The caller's part: error may be written, or is NULL.
 */
qmp_status qmp_dispatch(qmp_client *client, qmp_error **error);

/**
 * Gives a descriptor that is readable while qmp_dispatch has something to do.
 *
 * Use it as that of qmp_event_fd. It belongs to the client.
 *
 * client: whose. fd: gets the descriptor, 0 on failure. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_RESOURCE; QMP_ERR_CLOSED; QMP_ERR_INVALID_ARGUMENT;
 * QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_dispatch_fd(qmp_client *client, int32_t *fd, qmp_error **error);

/* ---- Requests: commands submitted without waiting ---- */

/** How cancelling a request went: nothing of the command was sent, and nothing will be. */
#define QMP_REQUEST_WITHDRAWN 1

/** How cancelling a request went: the command was sent, so it may be executed all the same. */
#define QMP_REQUEST_UNKNOWN 2

/** How cancelling a request went: its outcome had come already, and can still be had. */
#define QMP_REQUEST_TOO_LATE 3

/** A handle to a command under way. Any thread. Since 0.1. */
typedef struct qmp_request qmp_request;

/**
 * A callback for a request's outcome: status and, on QMP_OK, reply_json, else error; the other is
 * NULL. Both are valid during the call. It must not unwind, and may call any function of this
 * library, as a qmp_event_fn. Since 0.1.
 */
typedef void (*qmp_reply_fn)(void *user_data,
                             qmp_status status,
                             const char *reply_json,
                             const qmp_error *error);

/**
 * Sends a command without waiting for its reply. Any number may be under way; each is matched with
 * its own reply.
 *
 * It leaves at once if nothing is under way. Else it waits for others, with which it leaves in one write,
 * for the VM works in order and would not look at it yet: until somebody waits for a reply of the client's or
 * one comes, or else for 5 ms or so; in the caller's own loop until qmp_process.
 *
 * client: where to. command: its name. arguments_json: a JSON object, or NULL for none. out_of_band: as in qmp_execute_oob_json;
 * such a command leaves at once. request: gets a handle, to be freed with qmp_request_free. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_DISCONNECTED; QMP_ERR_CLOSED; QMP_ERR_UNSUPPORTED: out-of-band was not
 * negotiated; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_RESOURCE; QMP_ERR_FORKED.
 * Any thread, callbacks too. Since 0.1.
 *
 * The caller's part: The strings are NUL-terminated or NULL; the other pointers that are not handles may be written,
 * or are NULL.
 */
qmp_status qmp_submit_json(qmp_client *client,
                           const char *command,
                           const char *arguments_json,
                           bool out_of_band,
                           qmp_request **request,
                           qmp_error **error);

/**
 * Waits for a request's outcome, and gives it, once. When the time is over the command stays under
 * way, and can be waited for again; with timeout_ms 0 this polls.
 *
 * request: which. timeout_ms: how long to wait, or QMP_FOREVER. cancel: ends the wait, and not the
 * command; may be NULL. reply_json: gets the reply, to be freed with qmp_string_free. error: gets
 * the error; may be NULL.
 *
 * Of several threads that wait one gets the outcome. A wait ends when another thread gives the request up or
 * frees it.
 *
 * Returns what qmp_execute_json returns; QMP_ERR_TIMEOUT and QMP_ERR_CANCELLED, with outcome_unknown
 * false: it is still under way; QMP_ERR_CANCELLED also after qmp_request_cancel; QMP_ERR_CLOSED also
 * when the request is freed meanwhile; QMP_ERR_INVALID_ARGUMENT: also if the outcome was given
 * already, or a callback gets it. Any thread. Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_request_wait(qmp_request *request,
                            int64_t timeout_ms,
                            qmp_cancel *cancel,
                            char **reply_json,
                            qmp_error **error);

/**
 * Gives a request up, as far as that can be, and says how far.
 *
 * One that still waits to leave with others is withdrawn, and the VM never sees it.
 *
 * request: which. It stays to be freed. outcome: gets QMP_REQUEST_WITHDRAWN, QMP_REQUEST_UNKNOWN or
 * QMP_REQUEST_TOO_LATE. error: gets the error; may be NULL. A command that is out in part ends the
 * connection, since the next would be read as its rest.
 *
 * Returns QMP_OK; QMP_ERR_CANCELLED: it was already; QMP_ERR_INVALID_ARGUMENT: also if its outcome
 * was given already, or a callback gets it; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread,
 * callbacks too. Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_request_cancel(qmp_request *request, int32_t *outcome, qmp_error **error);

/**
 * Has a function called with a request's outcome, exactly once; also if it has come already. The
 * handle may be freed at once: the callback comes all the same. When the client is closed it is
 * called with QMP_ERR_CLOSED; with QMP_ON_DISPATCH by qmp_close itself, or, if the client is closed
 * already, by this function.
 *
 * request: which. place: QMP_ON_LIBRARY_THREAD, or QMP_ON_DISPATCH with the request's client.
 * function: what is called. user_data: given to it; may be NULL. destroy: called with user_data
 * exactly once, when the function will not be called any more, also if this fails; may be NULL.
 * error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: also if the outcome was given already or has a callback,
 * or the request is in a batch; QMP_ERR_CANCELLED; QMP_ERR_INVALID_HANDLE; QMP_ERR_RESOURCE; QMP_ERR_FORKED. Any thread, callbacks
 * too. Since 0.1.
 *
 * The caller's part: The functions may be called with user_data from any thread; error may be written, or is NULL.
 */
qmp_status qmp_request_set_callback(qmp_request *request,
                                    int32_t place,
                                    qmp_reply_fn function,
                                    void *user_data,
                                    void (*destroy)(void *user_data),
                                    qmp_error **error);

/**
 * Frees a request. A command that is still under way goes its way, and its reply is a late one, unless a
 * callback waits for it; to have it withdrawn if that can be, call qmp_request_cancel before. NULL and a stale
 * handle do nothing.
 *
 * Any thread, callbacks too. Since 0.1.
 */
void qmp_request_free(qmp_request *request);

/* ---- Batches: many requests waited for together ---- */

/**
 * A handle to requests that are waited for together, of one client or of several. Any thread.
 * Since 0.1.
 */
typedef struct qmp_batch qmp_batch;

/**
 * Makes an empty batch.
 *
 * Returns a handle to be freed with qmp_batch_free, or NULL when memory or handles are short.
 * Any thread. Since 0.1.
 */
qmp_batch *qmp_batch_new(void);

/**
 * Frees a batch. The requests in it go on; calls that wait for it return QMP_ERR_CLOSED. NULL and a stale handle do nothing.
 *
 * Any thread. Since 0.1.
 */
void qmp_batch_free(qmp_batch *batch);

/**
 * Puts a request into a batch. Its handle stays the caller's. It leaves the batch when qmp_batch_next
 * gives it, when it is cancelled or freed, or when its outcome is taken.
 *
 * batch: where to. request: which, put into one batch, once. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: also if the request's outcome was given already or has a
 * callback, or it was put into a batch; QMP_ERR_CANCELLED; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread, callbacks too.
 * Since 0.1.
 *
 * The caller's part: error may be written, or is NULL.
 */
qmp_status qmp_batch_add(qmp_batch *batch,
                         qmp_request *request,
                         qmp_error **error);

/**
 * Gives the next request of a batch whose outcome has come. It leaves the batch; qmp_request_wait
 * gives its outcome at once.
 *
 * batch: which. timeout_ms: how long to wait for one, or QMP_FOREVER. cancel: ends the wait; may be
 * NULL. request: gets the request's own handle, which is freed once as ever. error: gets the error;
 * may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_TIMEOUT; QMP_ERR_CANCELLED; QMP_ERR_NOT_FOUND: there is no request in it;
 * QMP_ERR_CLOSED: it is freed meanwhile; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_batch_next(qmp_batch *batch,
                          int64_t timeout_ms,
                          qmp_cancel *cancel,
                          qmp_request **request,
                          qmp_error **error);

/**
 * Gives a descriptor that is readable while qmp_batch_next has a request to give.
 *
 * Use it as that of qmp_event_fd. It belongs to the batch.
 *
 * batch: which. fd: gets the descriptor, 0 on failure. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_RESOURCE; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE;
 * QMP_ERR_FORKED. Any thread. Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_batch_fd(qmp_batch *batch, int32_t *fd, qmp_error **error);

/* ---- A client in the caller's own loop, without a thread of the library ---- */

/**
 * Gives the descriptor of a client that the caller's loop drives: while it is readable, call
 * qmp_process. It is the same for the client's whole life, and everything is in it: what the VM
 * sends, what it did not take yet, the end, and the timers of a client that comes back.
 *
 * Wait for it with poll, epoll, select, or a loop's library; do not read from it. It belongs to the
 * client: take it out of your loop before qmp_close.
 *
 * client: which; its options had qmp_options_set_own_loop. fd: gets the descriptor, 0 on failure.
 * error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: also if the library's thread drives it; QMP_ERR_CLOSED;
 * QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_fd(qmp_client *client, int32_t *fd, qmp_error **error);

/**
 * Does what there is to do for a client that the caller's loop drives: reads what came, sends what
 * waits to be sent, tries to come back if that is due, and runs the callbacks set with
 * QMP_ON_DISPATCH. It never waits. Then poll events, requests and batches with a timeout of 0.
 *
 * client: which; its options had qmp_options_set_own_loop. error: gets the error; may be NULL.
 *
 * Returns QMP_OK, also if there was nothing to do; QMP_ERR_DISCONNECTED: the connection has ended for good,
 * take the descriptor out of your loop; QMP_ERR_INVALID_ARGUMENT: also if the library's thread drives
 * it; QMP_ERR_CLOSED; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread, callbacks too. Since 0.1.
 *
 * The caller's part: error may be written, or is NULL.
 */
qmp_status qmp_process(qmp_client *client,
                       qmp_error **error);

/* ---- The VM's state, and shutting it down ---- */

/** How a shutdown went: the guest went down by itself, be it by a reset or a panic under -no-reboot. */
#define QMP_SHUTDOWN_GUEST 1

/** How a shutdown went: the VM was ended from the host's side, by this call or by somebody else. */
#define QMP_SHUTDOWN_FORCED 2

/** How a shutdown went: the VM was gone before the call did anything. */
#define QMP_SHUTDOWN_ALREADY_DOWN 3

/**
 * Asks the VM for its run state (the command "query-status").
 *
 * client: which VM. timeout_ms, cancel: as in qmp_execute_json. running: gets whether the virtual
 * CPUs run. status: gets the state's name as the VM sent it ("running", "paused", "shutdown", …;
 * newer QEMU adds some), to be freed with qmp_string_free. error: gets the error; may be NULL.
 *
 * Returns what qmp_execute_json returns; QMP_ERR_PROTOCOL also if the reply has no such members, or
 * if the state is no text that a C string can hold: one with \u0000 or half a surrogate pair;
 * QMP_ERR_UNSUPPORTED: this is a guest agent's client. Any thread. Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_query_status(qmp_client *client,
                            int64_t timeout_ms,
                            qmp_cancel *cancel,
                            bool *running,
                            char **status,
                            qmp_error **error);

/**
 * Asks the VM whether its virtual CPUs run.
 *
 * client: which VM. timeout_ms, cancel: as in qmp_execute_json. running: gets the answer, false on
 * failure. error: gets the error; may be NULL.
 *
 * Returns what qmp_query_status returns. Any thread. Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_is_running(qmp_client *client,
                          int64_t timeout_ms,
                          qmp_cancel *cancel,
                          bool *running,
                          qmp_error **error);

/**
 * Shuts the VM down: presses its power button, again at intervals, and ends QEMU at last if that
 * is wanted.
 *
 * A press means no more than that the button was pressed: before the guest listens it is lost, so
 * it is repeated until SHUTDOWN comes, the connection ends, or the grace time is over. Only a
 * guest whose state is "running" is pressed. A paused one is not: the press would be kept and
 * strike when somebody resumes it; nor is it ever resumed. If somebody else resumes it within the
 * grace time it is pressed then. A guest in the state "guest-panicked" or "internal-error" cannot
 * react, so its grace time ends at once. After the grace time, if force is true, "quit" is sent,
 * and QEMU has 5 s to end. Under -no-shutdown QEMU stays when the guest is off: that counts as
 * QMP_SHUTDOWN_GUEST, and QEMU is told to quit if force is true. No process is ever signalled.
 * Events stay in the queue for qmp_poll_event.
 *
 * client: which VM. press_interval_ms: time between presses; 0 or QMP_FOREVER for one press only.
 * graceful_timeout_ms: the grace time; with 0 the button is not pressed; QMP_FOREVER waits for
 * ever. force: whether to end QEMU when the guest did not go down. cancel: ends the call; may be
 * NULL. result: gets a QMP_SHUTDOWN_ code, 0 on failure. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; without force QMP_ERR_TIMEOUT: the guest is still up, and the message says in
 * which state; with force QMP_ERR_TIMEOUT: QEMU did not end within 5 s, outcome_unknown is true;
 * with force QMP_ERR_COMMAND: QEMU refused to quit; QMP_ERR_DISCONNECTED: the connection ended
 * after a press without SHUTDOWN (QEMU was killed, perhaps), so how is unknown;
 * QMP_ERR_CANCELLED; QMP_ERR_CLOSED; QMP_ERR_UNSUPPORTED: this is a guest agent's client;
 * QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED; QMP_ERR_RESOURCE. When the VM
 * is gone already it is a success, QMP_SHUTDOWN_ALREADY_DOWN. The connection ends with the VM;
 * calls then give QMP_ERR_DISCONNECTED, and the client is still to be closed. Any thread.
 * Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_shutdown(qmp_client *client,
                        int64_t press_interval_ms,
                        int64_t graceful_timeout_ms,
                        bool force,
                        qmp_cancel *cancel,
                        int32_t *result,
                        qmp_error **error);

/* ---- A mock VM, for tests without QEMU: starting it, and what it is ---- */

/** For times and the like: always, without end. */
#define QMP_ALWAYS (-1)

/** What the mock's guest does when the power button is pressed: it powers off. The default. */
#define QMP_GUEST_HONOURS 0

/** What the mock's guest does when the power button is pressed: nothing. */
#define QMP_GUEST_IGNORES 1

/** What the mock's guest does when the power button is pressed: it powers off at the n-th press. */
#define QMP_GUEST_HONOURS_PRESS 2

/**
 * What the mock's guest does when the power button is pressed: it powers off after so many
 * milliseconds.
 */
#define QMP_GUEST_HONOURS_LATE 3

/** What the mock's guest does when the power button is pressed: it reboots. */
#define QMP_GUEST_REBOOTS 4

/** What the mock's guest does when the power button is pressed: it panics. */
#define QMP_GUEST_PANICS 5

/**
 * A handle to a mock: a small VM that speaks QMP on a socket and has no machine behind it. Any
 * thread. Since 0.1.
 *
 * Without further words it behaves as QEMU 7.2 does: it greets, wants its capabilities negotiated,
 * knows query-status, query-version, query-name, query-commands, query-qmp-schema, query-yank,
 * stop, cont, system_reset, system_wakeup, system_powerdown and quit, sends the events that QEMU
 * sends and in its order, and answers anything else with CommandNotFound. One thread serves all
 * mocks of a process; a mock costs a few descriptors and KiB, so thousands can be had.
 *
 * This part of the library is for tests. A distribution may leave it out (cargo's feature "mock"):
 * then the library has none of the functions qmp_mock_*.
 */
typedef struct qmp_mock qmp_mock;

/**
 * Starts a mock, and listens for clients.
 *
 * address: as in qmp_connect, "/PATH" or "unix:PATH" where nothing is yet, "abstract:NAME", or
 * "tcp:127.0.0.1:PORT" and "tcp:[::1]:PORT", port 0 being any free one; NULL for a fresh path in
 * $TMPDIR, or in /tmp where that is not set, not absolute, not UTF-8 or too long. mock: gets a handle, to be stopped with qmp_mock_stop. error: gets
 * the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_BUSY: the path or port is in use; QMP_ERR_NOT_FOUND: its directory is
 * not there; QMP_ERR_PERMISSION; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_RESOURCE; QMP_ERR_IO. Any
 * thread. Since 0.1.
 *
 * The caller's part: address is a NUL-terminated string or NULL; mock and error may be written, or are NULL.
 */
qmp_status qmp_mock_start(const char *address,
                          qmp_mock **mock,
                          qmp_error **error);

/**
 * Stops a mock and frees its handle. Its connections end without a farewell, as if QEMU were
 * killed, and the file of its socket is removed. Calls that wait for what it receives end with
 * QMP_ERR_TIMEOUT.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT for NULL; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED: the
 * parent's mock goes on untouched. Any thread. Since 0.1.
 */
qmp_status qmp_mock_stop(qmp_mock *mock);

/**
 * Gives the address that clients connect to.
 *
 * address: gets a string for qmp_connect, to be freed with qmp_string_free. error: gets the error;
 * may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED;
 * QMP_ERR_RESOURCE. Any thread. Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_mock_address(qmp_mock *mock, char **address, qmp_error **error);

/**
 * Sets what the mock says its version is, in the greeting and to query-version. Default 7.2.22 and
 * "libqmp mock".
 *
 * package: may be NULL for none. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: package is a NUL-terminated string or NULL; error may be written, or is NULL.
 */
qmp_status qmp_mock_set_version(qmp_mock *mock,
                                uint32_t major,
                                uint32_t minor,
                                uint32_t micro,
                                const char *package,
                                qmp_error **error);

/**
 * Sets the capabilities of the greeting, which are those that a client may enable. Default
 * ["oob"].
 *
 * capabilities_json: a JSON array. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: capabilities_json is a NUL-terminated string or NULL; error may be written, or is NULL.
 */
qmp_status qmp_mock_set_capabilities(qmp_mock *mock,
                                     const char *capabilities_json,
                                     qmp_error **error);

/**
 * Sets the answer to query-name. Default none.
 *
 * name: may be NULL for none. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: name is a NUL-terminated string or NULL; error may be written, or is NULL.
 */
qmp_status qmp_mock_set_name(qmp_mock *mock, const char *name, qmp_error **error);

/**
 * Sets the mock's run state, without any event. Default "running".
 *
 * run_state: one of QEMU's: "running", "paused", "prelaunch", "preconfig", "inmigrate",
 * "postmigrate", "finish-migrate", "restore-vm", "save-vm", "shutdown", "suspended", "watchdog",
 * "guest-panicked", "internal-error", "io-error", "debug". As in QEMU, query-status calls "preconfig"
 * "prelaunch". error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: run_state is a NUL-terminated string or NULL; error may be written, or is NULL.
 */
qmp_status qmp_mock_set_run_state(qmp_mock *mock,
                                  const char *run_state,
                                  qmp_error **error);

/**
 * Sets what the guest does when the power button is pressed.
 *
 * behaviour: QMP_GUEST_HONOURS, which is the default, or another. amount: the number of the press
 * for QMP_GUEST_HONOURS_PRESS, milliseconds for QMP_GUEST_HONOURS_LATE, else without meaning.
 * error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: error may be written, or is NULL.
 */
qmp_status qmp_mock_set_guest(qmp_mock *mock,
                              int32_t behaviour,
                              uint64_t amount,
                              qmp_error **error);

/**
 * Sets whether the mock stays when its guest has gone down, as QEMU does with -no-shutdown: then
 * it sends SHUTDOWN and STOP, and its run state is "shutdown"; or, when it panicked, GUEST_PANICKED
 * and STOP, and its run state is "guest-panicked". Default false: the mock ends.
 *
 * error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: error may be written, or is NULL.
 */
qmp_status qmp_mock_set_no_shutdown(qmp_mock *mock, bool no_shutdown, qmp_error **error);

/**
 * Sets how many clients are served at once. Default 1, as with QEMU's sockets: the next can connect
 * and hears nothing until the first has left. All clients are of the one VM, and each that has
 * negotiated hears all events.
 *
 * clients: at least 1. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: error may be written, or is NULL.
 */
qmp_status qmp_mock_set_clients(qmp_mock *mock, uint32_t clients, qmp_error **error);

/* ---- A mock's script: what it answers, when, and which faults it has ---- */

/**
 * Answers a command with a value, in place of what the mock would do: nothing happens to its state
 * and no event is sent. The command's name then stands in query-commands too.
 *
 * The oldest answer that is not used up counts; when none is left, the mock's own behaviour does.
 * Before a client has negotiated, its commands are refused as by QEMU, whatever the script has for
 * them.
 *
 * command: a name, or the beginning of names with "*" at its end; "*" is every command but the
 * negotiation ("qmp_capabilities"). value_json: what "return" is to be, any JSON value. times: for
 * so many commands, or QMP_ALWAYS. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: The strings are NUL-terminated or NULL; error may be written, or is NULL.
 */
qmp_status qmp_mock_reply(qmp_mock *mock,
                          const char *command,
                          const char *value_json,
                          int32_t times,
                          qmp_error **error);

/**
 * Answers a command with an error, in place of what the mock would do.
 *
 * command, times: as in qmp_mock_reply. error_class: "GenericError", "DeviceNotFound", … or any
 * other. description: the error's text. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: The strings are NUL-terminated or NULL; error may be written, or is NULL.
 */
qmp_status qmp_mock_reply_error(qmp_mock *mock,
                                const char *command,
                                const char *error_class,
                                const char *description,
                                int32_t times,
                                qmp_error **error);

/**
 * Sends an event right before or after the reply to a command, beside the mock's own.
 *
 * command: as in qmp_mock_reply, or "greeting". before: before the reply, else after it. event: its
 * name. data_json: its data, a JSON object; may be NULL for none. times: as in qmp_mock_reply.
 * error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: The strings are NUL-terminated or NULL; error may be written, or is NULL.
 */
qmp_status qmp_mock_reply_event(qmp_mock *mock,
                                const char *command,
                                bool before,
                                const char *event,
                                const char *data_json,
                                int32_t times,
                                qmp_error **error);

/**
 * Lets a command take its time. As with QEMU, the commands behind it wait, but events and commands
 * out of band do not, and when its client leaves meanwhile, the reply goes to whoever is connected
 * then. Unlike QEMU's, other clients' commands do not wait.
 *
 * command, times: as in qmp_mock_reply, or "greeting". delay_ms: milliseconds, or QMP_FOREVER: it
 * is never executed. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: command is a NUL-terminated string or NULL; error may be written, or is NULL.
 */
qmp_status qmp_mock_delay(qmp_mock *mock,
                          const char *command,
                          int64_t delay_ms,
                          int32_t times,
                          qmp_error **error);

/**
 * Puts a fault into what the mock sends. Of several the oldest that is not used up counts.
 *
 * place: "greeting", for a connection from its beginning; "event", for an event; or a command as in
 * qmp_mock_reply, for its reply. "qmp_capabilities" is the negotiation. fault: its name. amount: how
 * much, or 0 for the usual; the table gives the usual amounts in parentheses. twice,
 * blank-lines, event-first, many-keys and error-without-id go up to 1048576. times: as in
 * qmp_mock_reply. error: gets the error; may be NULL.
 *
 * How it is sent: bytewise; slow-loris (100 ms after each byte); pretty; no-newline; blank-lines
 * (3); bom; ff, a byte 0xFF before it; twice (2 times); event-first (1 event); cut (half), then the
 * end. What is before it: garbage; array; scalar. What is there instead: http; hmp; tls; not-qmp;
 * silent; close; reset. What is in it: huge (100000000 bytes); endless-string; endless-blanks; deep
 * (1000); bottomless (1000000, not closed); many-keys (200000); big-number (400 digits); not-json;
 * bad-utf8; raw-surrogate; raw-nul; lone-surrogate; escaped-nul; unknown-members; duplicate-keys.
 * What follows it: close-after; reset-after; half-close; half-close-reading; stop-reading;
 * slow-reading (200000 bytes/s); flood (events without end).
 * A greeting: no-version; odd-capabilities. A reply: reordered (2 are kept and sent last first);
 * unknown-id; text-id; no-id; stray-first, a reply with an unknown id before it; error-without-id (1
 * instead); both, return and error; neither; unknown-class; no-class; error-as-string. An event:
 * no-timestamp; odd-timestamp; no-data; odd-name; event-with-id (1).
 * Over a unix socket a peer reads a reset only where it has sent something that was not read: reset
 * leaves the command unread.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT: also where there is no such fault at that place;
 * QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
 *
 * The caller's part: The strings are NUL-terminated or NULL; error may be written, or is NULL.
 */
qmp_status qmp_mock_fault(qmp_mock *mock,
                          const char *place,
                          const char *fault,
                          uint64_t amount,
                          int32_t times,
                          qmp_error **error);

/**
 * Gives all faults, for a test that tries every one.
 *
 * faults_json: gets a JSON array of {"fault": name, "places": ["greeting", "reply", "event"], as far
 * as they apply, "amount": the usual one, "what": in words}, to be freed with qmp_string_free.
 * error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_RESOURCE. Any thread. Since 0.1.
 *
 * The caller's part: faults_json and error may be written, or are NULL.
 */
qmp_status qmp_mock_faults_json(char **faults_json,
                                qmp_error **error);

/**
 * Forgets the whole script: answers, events, delays and faults that were not used yet.
 *
 * error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: error may be written, or is NULL.
 */
qmp_status qmp_mock_clear(qmp_mock *mock, qmp_error **error);

/**
 * Sends an event now, to every client that has negotiated. Nobody else ever hears of it, as with
 * QEMU.
 *
 * event: its name. data_json: its data, a JSON object; may be NULL for none. error: gets the error;
 * may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: The strings are NUL-terminated or NULL; error may be written, or is NULL.
 */
qmp_status qmp_mock_emit(qmp_mock *mock,
                         const char *event,
                         const char *data_json,
                         qmp_error **error);

/**
 * Sends a text as it is, to every client that has negotiated: for faults that have no name.
 *
 * text: nothing is added to it, no newline either. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: text is a NUL-terminated string or NULL; error may be written, or is NULL.
 */
qmp_status qmp_mock_send(qmp_mock *mock, const char *text, qmp_error **error);

/**
 * Ends the connections of the moment once all that was to be sent is sent. The mock goes on and can
 * be connected to again.
 *
 * error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: error may be written, or is NULL.
 */
qmp_status qmp_mock_disconnect(qmp_mock *mock, qmp_error **error);

/* ---- What a mock received, and sessions played back ---- */

/**
 * Gives the commands that the mock has received, from all clients and in their order, without the
 * negotiations.
 *
 * commands_json: gets a JSON array of {"execute": …, "arguments": …}, to be freed with
 * qmp_string_free. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED;
 * QMP_ERR_RESOURCE. Any thread. Since 0.1.
 *
 * The caller's part: The pointers that are not handles may be written, or are NULL.
 */
qmp_status qmp_mock_received_json(qmp_mock *mock, char **commands_json, qmp_error **error);

/**
 * Gives how often the mock has received a command.
 *
 * command: its name; negotiations ("qmp_capabilities") are not counted. count: gets the number. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: command is a NUL-terminated string or NULL; count and error may be written, or are NULL.
 */
qmp_status qmp_mock_count(qmp_mock *mock,
                          const char *command,
                          uint64_t *count,
                          qmp_error **error);

/**
 * Gives how many bytes clients have sent, negotiations included: to show that a call sent nothing.
 *
 * bytes: gets the number. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread.
 * Since 0.1.
 *
 * The caller's part: bytes and error may be written, or are NULL.
 */
qmp_status qmp_mock_bytes_received(qmp_mock *mock, uint64_t *bytes, qmp_error **error);

/**
 * Waits until the mock has received some commands, in this order and nothing between them. The
 * first call counts from the mock's start, each further one from where the last that succeeded
 * ended. What comes behind them is left to the next call.
 *
 * commands_json: a JSON array. An element is a command's name, or {"execute": name, "arguments":
 * {…}}, where the command may have further arguments. [] does not wait: it holds if nothing more has
 * come so far. timeout_ms: how long to wait, or QMP_FOREVER. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_PROTOCOL: another command came, and the message says which; QMP_ERR_TIMEOUT:
 * not all have come, and the message says which is missing; QMP_ERR_INVALID_ARGUMENT;
 * QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
 *
 * The caller's part: commands_json is a NUL-terminated string or NULL; error may be written, or is NULL.
 */
qmp_status qmp_mock_expect(qmp_mock *mock,
                           const char *commands_json,
                           int64_t timeout_ms,
                           qmp_error **error);

/**
 * Plays a recorded session back, from the next connection on: the same greeting, and to the same
 * requests the same replies and events, in place of anything else that the mock would say. When the
 * recording ends, so does the mock, if it was the VM or a fault that ended the recorded connection.
 * Each new connection begins at the recording's beginning.
 *
 * A request is the same if its command is and its arguments say the same; ids are translated, and
 * where the recording has "<redacted>" any value is the same. A request that differs is answered with
 * a GenericError that shows the difference, and so is every one after it.
 *
 * path: a transcript, as qmp_options_set_record writes it. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_NOT_FOUND; QMP_ERR_PERMISSION; QMP_ERR_IO; QMP_ERR_PROTOCOL: it is no
 * transcript, and the message says which line; QMP_ERR_INVALID_ARGUMENT; QMP_ERR_INVALID_HANDLE;
 * QMP_ERR_FORKED. Any thread. Since 0.1.
 *
 * The caller's part: path is a NUL-terminated string or NULL; error may be written, or is NULL.
 */
qmp_status qmp_mock_replay(qmp_mock *mock,
                           const char *path,
                           qmp_error **error);

/**
 * Waits until every request of the recording that is played back has come.
 *
 * timeout_ms: how long, or QMP_FOREVER. error: gets the error; may be NULL.
 *
 * Returns QMP_OK; QMP_ERR_PROTOCOL: a request differed, and the message shows how; QMP_ERR_TIMEOUT:
 * some have not come, and the message shows the next; QMP_ERR_INVALID_ARGUMENT: also if nothing is
 * played back; QMP_ERR_INVALID_HANDLE; QMP_ERR_FORKED. Any thread. Since 0.1.
 *
 * The caller's part: error may be written, or is NULL.
 */
qmp_status qmp_mock_check_replay(qmp_mock *mock, int64_t timeout_ms, qmp_error **error);

#ifdef __cplusplus
}
#endif

#endif /* QMP_H */
