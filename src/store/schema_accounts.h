/* Step 3 of the schema: accounts. */
#define SCHEMA_ACCOUNTS ""
