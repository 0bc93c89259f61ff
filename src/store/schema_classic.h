/* Step 6 of the schema: classic. */
#define SCHEMA_CLASSIC ""
