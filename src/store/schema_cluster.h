/* Step 7 of the schema: cluster. */
#define SCHEMA_CLUSTER ""
