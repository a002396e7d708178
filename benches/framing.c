// SPDX-License-Identifier: MIT OR Apache-2.0
// Framing by JSON structure as plain C does it: a byte loop over depth and string state, then one UTF-8 check.
#include "bench.h"

#include <stdint.h>
#include <string.h>

bool framing_ends(framing *framing, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i];
        if (framing->in_string) {
            if (framing->escaped)
                framing->escaped = false;
            else if (c == '\\')
                framing->escaped = true;
            else if (c == '"')
                framing->in_string = false;
            continue;
        }
        switch (c) {
        case '"':
            framing->in_string = true;
            break;
        case '{':
        case '[':
            framing->depth++;
            break;
        case '}':
        case ']':
            if (--framing->depth == 0)
                return true;
            break;
        }
    }
    return false;
}

static bool continues(const unsigned char *bytes, size_t count)
{
    while (count--)
        if ((*bytes++ & 0xC0) != 0x80)
            return false;
    return true;
}

bool utf8_valid(const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length;) {
        uint64_t eight;
        if (i + sizeof eight <= length) {
            memcpy(&eight, bytes + i, sizeof eight);
            if (!(eight & 0x8080808080808080u)) {
                i += sizeof eight;
                continue;
            }
        }
        unsigned char lead = bytes[i++];
        if (lead < 0x80)
            continue;
        size_t more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
        if (lead < 0xC2 || lead > 0xF4 || i + more > length || !continues(bytes + i, more))
            return false;
        if ((lead == 0xE0 && bytes[i] < 0xA0) || (lead == 0xED && bytes[i] > 0x9F) ||
            (lead == 0xF0 && bytes[i] < 0x90) || (lead == 0xF4 && bytes[i] > 0x8F))
            return false;
        i += more;
    }
    return true;
}
