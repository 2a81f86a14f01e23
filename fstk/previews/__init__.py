"""What a person looks at before anything is written."""
