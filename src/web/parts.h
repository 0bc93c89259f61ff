/* parts.h - forms with files: what fields.c knows of them. */
#ifndef WEB_PARTS_H
#define WEB_PARTS_H

#include "weaprous/weaprous.h"

/* True when the body calls itself multipart/form-data. */
bool parts_expected(struct wr_request *request);

#endif
