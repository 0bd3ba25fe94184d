"""Pictures in files: their headers before their pixels."""
