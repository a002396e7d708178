# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Reads qmp.h and writes C: every function that takes a pointer, callable with sound arguments of
# which any can be exchanged (support/functions.h). A function or parameter for which there is no
# rule here is an error, so that none is forgotten.
#
# Whether a parameter may be NULL is what the header says: its description names NULL, or it is one
# of the conventions on top of the header (the error; a cancel token that a call uses).
BEGIN {
    print "/* Generated from qmp.h by functions.awk. */\n#include \"functions.h\"\n\n#include <stddef.h>"

    # Sound inputs, by "function.parameter", else by declaration, else by type. Handles need none:
    # qmp_client is the member "client" of `sound`.
    sound["const char *address"] = "sound.address"
    sound["const char *command"] = "\"query-status\""
    sound["const char *arguments_json"] = "\"{}\""
    sound["char *string"] = "sound_string()"
    sound["qmp_error *error"] = "sound_error()"
    sound["qmp_event *event"] = "sound_event()"
    sound["qmp_log_fn function"] = "ignore_line"
    sound["void *user_data"] = "&sound"
    sound["void (*destroy)(void *user_data)"] = "ignore_data"
    sound["int32_t level"] = "QMP_LOG_INFO"
    sound["int32_t dialect"] = "QMP_DIALECT_QMP"
    sound["int64_t timeout_ms"] = "PATIENCE_MS"
    sound["int64_t press_interval_ms"] = "10"
    sound["int64_t graceful_timeout_ms"] = "0"
    sound["uint64_t bytes"] = "4096"
    sound["uint64_t events"] = "16"
    sound["bool"] = "true"
    sound["const char *path"] = "sound_path()"
    sound["int32_t descriptor"] = "sound_descriptor()"
    sound["bool out_of_band"] = "false"
    sound["qmp_fd.client"] = sound["qmp_process.client"] = "sound.driven"
    sound["qmp_listen.address"] = "sound_place()"
    sound["int64_t first_ms"] = sound["int64_t cap_ms"] = sound["int64_t total_ms"] = "10"
    sound["double factor"] = sound["double jitter"] = "1"
    sound["int64_t pid"] = sound["int64_t uid"] = "-1"
    sound["qmp_reply_fn function"] = "ignore_reply"
    sound["qmp_late_reply_fn function"] = "ignore_late_reply"

    # Of the mock.
    sound["qmp_mock_start.address"] = "\"tcp:127.0.0.1:0\""
    sound["uint32_t major"] = sound["uint32_t minor"] = sound["uint32_t micro"] = sound["uint32_t clients"] = "1"
    sound["const char *package"] = sound["const char *name"] = sound["const char *text"] = "\"text\""
    sound["const char *error_class"] = sound["const char *description"] = "\"text\""
    sound["const char *capabilities_json"] = sound["const char *commands_json"] = "\"[]\""
    sound["const char *value_json"] = sound["const char *data_json"] = "\"{}\""
    sound["const char *run_state"] = "\"paused\""
    sound["const char *event"] = "\"TICK\""
    sound["const char *place"] = "\"greeting\""
    sound["const char *fault"] = "\"pretty\""
    sound["int32_t behaviour"] = "QMP_GUEST_IGNORES"
    sound["uint64_t amount"] = sound["int64_t delay_ms"] = "0"
    sound["int32_t times"] = "1"

    # Of subscriptions. A member and its value go together: both NULL, or neither.
    sound["const char *events"] = "\"TICK\""
    sound["const char *member"] = sound["qmp_subscribe.value_json"] = "NULL"
    sound["qmp_wait_event.value_json"] = sound["qmp_execute_and_wait.value_json"] = "NULL"
    sound["uint64_t capacity"] = "16"
    sound["int32_t place"] = "QMP_ON_DISPATCH"
    sound["qmp_event_fn function"] = "ignore_event"

    # Outputs, and what frees them; the error has its own way.
    frees["char **"] = "qmp_string_free"
    frees["qmp_event **"] = "qmp_event_free"
    frees["qmp_client **"] = "qmp_close"
    frees["qmp_mock **"] = "qmp_mock_stop"
    frees["qmp_subscription **"] = "qmp_subscription_free"
    frees["qmp_request **"] = "qmp_request_free"
    frees["bool *"] = frees["int32_t *"] = frees["uint32_t *"] = frees["uint64_t *"] = ""
}

/^\/\*\*/ { comment = ""; in_comment = 1 }
in_comment {
    line = $0
    sub(/^ *\/?\*+\/?/, "", line)
    sub(/\*\/.*/, "", line)
    comment = comment line
    if (/\*\//)
        in_comment = 0
    next
}
/^\/\*/ && !/\*\// { skipping = 1 }
skipping { if (/\*\//) skipping = 0; next }
/^(#|extern "C"|}$|\/\*)/ || /^ *$/ { next }
/^typedef struct .*{/ { in_struct = 1 }
in_struct { if (/^}/) in_struct = 0; next }

{
    declaration = declaration " " $0
    if (!/;$/)
        next
    gsub(/ +/, " ", declaration)
    sub(/^ /, "", declaration)
    sub(/;$/, "", declaration)
    if (declaration ~ /^typedef struct [a-z_]+ [a-z_]+$/) {
        sub(/.* /, "", declaration)
        handles[declaration] = 1
    } else if (declaration !~ /^typedef /) {
        prototype(declaration)
    }
    declaration = comment = ""
}

function fail(text)
{
    print FILENAME ": " text > "/dev/stderr"
    failed = 1
    exit 1
}

function prototype(text,    name, head, tail, count, i, result)
{
    head = substr(text, 1, index(text, "(") - 1)
    tail = substr(text, index(text, "(") + 1)
    sub(/\)$/, "", tail)
    name = head
    sub(/.*[ *]/, "", name)
    result = substr(head, 1, length(head) - length(name))
    sub(/ $/, "", result)
    functions_seen++
    count = split_parameters(tail)
    for (i = 0; i < count; i++)
        if (is_pointer(i)) {
            write(name, result, count)
            return
        }
}

# At commas that are not within parentheses, into parameter[], type[] and called[].
function split_parameters(text,    count, depth, i, letter, one)
{
    count = 0
    split("", parameter)
    for (i = 1; i <= length(text) + 1; i++) {
        letter = i > length(text) ? "," : substr(text, i, 1)
        depth += (letter == "(") - (letter == ")")
        if (letter != "," || depth > 0) {
            one = one letter
            continue
        }
        sub(/^ /, "", one)
        parameter[count] = called[count] = one
        if (match(one, /\(\*[a-z_0-9]+\)/)) {
            called[count] = substr(one, RSTART + 2, RLENGTH - 3)
            type[count] = "function"
        } else {
            sub(/.*[ *]/, "", called[count])
            type[count] = substr(one, 1, length(one) - length(called[count]))
            sub(/ $/, "", type[count])
        }
        count++
        one = ""
    }
    return count
}

function is_function(i)
{
    return type[i] == "function" || type[i] ~ /^qmp_[a-z_]*_fn$/
}

function is_pointer(i)
{
    return type[i] ~ /\*$/ || is_function(i)
}

# The type of handle that a parameter is, or "".
function handle(i,    bare)
{
    bare = type[i]
    sub(/^const /, "", bare)
    return bare ~ /[^*] \*$/ && substr(bare, 1, length(bare) - 2) in handles ? substr(bare, 1, length(bare) - 2) : ""
}

function is_error(i)
{
    return parameter[i] == "qmp_error **error"
}

function is_output(i)
{
    return type[i] in frees && !((parameter[i]) in sound)
}

function value(name, i,    bare)
{
    if ((name "." called[i]) in sound)
        return sound[name "." called[i]]
    if (parameter[i] in sound)
        return sound[parameter[i]]
    if (type[i] in sound)
        return sound[type[i]]
    if ((bare = handle(i)) != "") {
        sub(/^qmp_/, "", bare)
        return "sound." bare
    }
    fail("no sound value for \"" parameter[i] "\" of " name ": give one in functions.awk")
}

# What the comment says of a parameter: "name: …" or "name, other: …", up to the next such.
function description(wanted,    text)
{
    text = comment
    sub(/ Returns .*/, "", text)
    if (!match(" " text, "[^a-z_]" wanted "(, [a-z_]+)*: "))
        return ""
    text = substr(text, RSTART + RLENGTH - 1)
    if (match(text, /[.;] [a-z_]+(, [a-z_]+)*: /))
        text = substr(text, 1, RSTART)
    return text
}

function optional(name, result, i,    words)
{
    if (result == "void") {
        if (comment !~ /NULL (does|and a stale handle do) nothing/)
            fail(name " does not say that NULL does nothing")
        return 1
    }
    if (is_error(i) || (type[i] == "qmp_cancel *" && i > 0))
        return 1
    return description(called[i]) ~ /NULL/
}

function write(name, result, count,    i, local, bare)
{
    if (result != "qmp_status" && result != "void")
        fail(name " returns " result ": functions.awk knows only qmp_status and void")
    print "\nstatic void call_" name "(struct call *call)\n{"
    for (i = 0; i < count; i++)
        if (is_error(i) || is_output(i)) {
            local = type[i]
            sub(/ ?\*$/, "", local)
            print "    " local (local ~ /\*$/ ? "" : " ") called[i] " = (" local ")JUNK;"
        }
    print "    " (result == "void" ? "" : "call->status = ") name "("
    for (i = 0; i < count; i++) {
        if (is_error(i) || is_output(i))
            local = "WITH(" i ", &" called[i] ")"
        else if (is_function(i))
            local = "FUNCTION(" i ", " value(name, i) ")"
        else if (is_pointer(i))
            local = "WITH(" i ", " value(name, i) ")"
        else
            local = value(name, i)
        print "        " local (i < count - 1 ? "," : ");")
    }
    for (i = 0; i < count; i++) {
        if (is_error(i))
            print "    call_error(call, " i ", error);"
        else if (is_output(i)) {
            print "    CLEARED(" i ", " called[i] ");"
            if (frees[type[i]] != "")
                print "    if (GAVE(" i "))\n        " frees[type[i]] "(" called[i] ");"
        }
    }
    print "}"
    table = table "    {\"" name "\", call_" name ", " (result == "qmp_status" ? "true" : "false") ", " count ", {\n"
    for (i = 0; i < count; i++) {
        bare = handle(i)
        table = table "        {\"" called[i] "\", " (is_pointer(i) ? "true" : "false") ", " \
            (is_pointer(i) && optional(name, result, i) ? "true" : "false") ", " (bare == "" ? "NULL" : "&" bare "_kind") "},\n"
    }
    table = table "    }},\n"
    written++
}

END {
    if (failed)
        exit 1
    if (declaration != "" || functions_seen == 0)
        fail("not understood to its end")
    for (bare in handles) {
        local = bare
        sub(/^qmp_/, "", local)
        kinds = kinds "const struct handle_kind " bare "_kind = {\"" bare "\", offsetof(struct handles, " local ")};\n"
        list = list "&" bare "_kind, "
    }
    print "\n" kinds "\nconst struct handle_kind *const handle_kinds[] = {" list "NULL};"
    print "\nconst struct function functions[] = {\n" table "    {NULL, NULL, false, 0, {{NULL, false, false, NULL}}},\n};"
}
