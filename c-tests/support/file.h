/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A text file in memory. */
#ifndef FILE_H
#define FILE_H

char *file_text(const char *path); /* to be freed; NULL: it cannot be read */

#endif
