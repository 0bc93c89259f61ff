/* Step 4 of the schema: people. */
#define SCHEMA_PEOPLE ""
