/* Step 4 of the schema: people. What `kind` means is in people_sql.h. */
#define SCHEMA_PEOPLE                                                                                        \
    "CREATE TABLE people (account INTEGER PRIMARY KEY REFERENCES accounts(id), seen_ms INTEGER NOT NULL,"    \
    " invisible INTEGER NOT NULL);"                                                                          \
    "CREATE TABLE relations (account INTEGER NOT NULL REFERENCES accounts(id),"                              \
    " other INTEGER NOT NULL REFERENCES accounts(id), kind INTEGER NOT NULL, line TEXT NOT NULL,"            \
    " since_ms INTEGER NOT NULL, PRIMARY KEY (account, other)) WITHOUT ROWID;"                               \
    "CREATE INDEX relations_by_other ON relations(other, kind);"                                             \
    "CREATE TRIGGER account_removed_people BEFORE DELETE ON accounts BEGIN"                                  \
    " DELETE FROM relations WHERE account = old.id OR other = old.id;"                                       \
    " DELETE FROM people WHERE account = old.id;"                                                            \
    " END;"
