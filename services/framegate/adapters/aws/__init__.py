"""Amazon SQS and S3, and what speaks their protocols."""
