/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A part of a case that runs in a child of its own: its checks count as the case's. */
#ifndef CHILD_H
#define CHILD_H

void run_in_child(void (*body)(void));

#endif
